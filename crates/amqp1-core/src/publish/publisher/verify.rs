//! Checks accepted jobs on brokers that confirm jobs they lose.

use std::sync::Arc;

use super::Publisher;
use crate::base::wait::Wait;
use crate::error::{ErrorKind, Result};

impl Publisher {
    /// Checks that the queues of accepted jobs exist: otherwise the job is lost.
    ///
    /// It detects a queue that existed neither when the job arrived nor now. It does not detect a
    /// queue that was missing when the job arrived and has been created since.
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
                        self.bytes -= sent.message.weight();
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::QueueNotFound => self.lost.push((index, error)),
                    // It was accepted, so sending it again would more likely duplicate it.
                    _ => self.fail(index, self.explain(error)),
                },
            }
        }
        self.trim();
        Ok(())
    }
}
