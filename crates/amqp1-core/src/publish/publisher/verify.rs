//! The second look at what a broker accepted that confirms what it loses.

use std::sync::Arc;

use super::Publisher;
use crate::base::wait::Wait;
use crate::error::{ErrorKind, Result};

impl Publisher {
    /// Looks for the queues of accepted jobs: a job whose queue is gone is lost.
    ///
    /// A queue that was there neither when the job came nor now is found out; one
    /// that was deleted and made again in between is not.
    pub(super) fn verify(&mut self, wait: &Wait<'_>) -> Result<()> {
        let definition = Arc::clone(&self.definition);
        let mut seen: Vec<(String, Result<()>)> = Vec::new();
        for index in std::mem::take(&mut self.unsure) {
            let position = index.wrapping_sub(self.base) as usize;
            let Some(Some(sent)) = self.window.get(position) else {
                continue;
            };
            let Some(queue) = definition.queue_of(&sent.destination) else {
                continue;
            };
            let known = seen.iter().find(|(name, _)| name == queue);
            let found = match known {
                Some((_, found)) => found.clone(),
                None => {
                    let found = definition.look_for(queue, wait);
                    if let Err(error) = &found {
                        if error.kind() == ErrorKind::Interrupted {
                            return found;
                        }
                    }
                    seen.push((queue.to_owned(), found.clone()));
                    found
                }
            };
            match found {
                Ok(()) => {
                    if let Some(sent) = self.window.get_mut(position).and_then(Option::take) {
                        self.bytes -= sent.payload.len();
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::QueueNotFound => self.lost.push((index, error)),
                    // It was accepted: sending it again would rather make two of it.
                    _ => self.fail(index, self.explain(error)),
                },
            }
        }
        self.trim();
        Ok(())
    }
}
