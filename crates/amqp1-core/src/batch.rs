//! Many jobs, pipelined.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::job::Job;
use crate::live::Definition;
use crate::publisher::{Extra, Publisher};
use crate::queue::check;
use crate::route::Destination;
use crate::wait::Wait;

/// Jobs on their way. Made by [`crate::Queue::batch`].
#[derive(Debug)]
pub struct Batch {
    publisher: Publisher,
    ids: Vec<String>,
}

/// What became of a batch.
#[derive(Debug)]
pub struct BatchReport {
    /// The ids in the order given, of failed jobs too (empty for those that never had one).
    pub ids: Vec<String>,
    /// Index and reason of each job that was not confirmed, by index.
    pub failures: Vec<(usize, Error)>,
}

impl Batch {
    pub(crate) fn new(definition: Arc<Definition>) -> Self {
        Self {
            publisher: Publisher::new(definition),
            ids: Vec::new(),
        }
    }

    /// Sends one more job; blocks while too many are unconfirmed.
    ///
    /// A job that fails is in the report under its index.
    ///
    /// # Errors
    /// Only what ends the whole batch: [`ErrorKind::Interrupted`], and
    /// [`ErrorKind::Connection`], [`ErrorKind::Authentication`] or
    /// [`ErrorKind::Timeout`] when not even the first job could be sent.
    pub fn add(&mut self, job: &Job<'_>, wait: &Wait<'_>) -> Result<()> {
        self.publisher.make_room(wait)?;
        let id = match &job.options.id {
            Some(id) => id.to_string(),
            None => id::job_id(),
        };
        let destination = Destination::of(job);
        let sent = check(job).and_then(|()| {
            self.publisher
                .send(job, &id, destination, &Extra::default(), wait)
        });
        self.ids.push(id);
        match sent {
            Ok(()) => Ok(()),
            Err(error) => {
                let fatal = match error.kind() {
                    ErrorKind::Interrupted => true,
                    ErrorKind::Connection | ErrorKind::Authentication | ErrorKind::Timeout => {
                        self.ids.len() == 1
                    }
                    _ => false,
                };
                self.publisher.skip(error.clone());
                if fatal {
                    return Err(error);
                }
                Ok(())
            }
        }
    }

    /// The job at this index could not be read from the caller's input.
    pub fn add_failed(&mut self, error: Error) {
        self.ids.push(String::new());
        self.publisher.skip(error);
    }

    /// Waits for every outcome. What has none at the deadline is reported as
    /// [`ErrorKind::Timeout`].
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`] only.
    pub fn finish(self, wait: &Wait<'_>) -> Result<BatchReport> {
        let failures = self.publisher.finish(wait)?;
        Ok(BatchReport {
            ids: self.ids,
            failures: failures
                .into_iter()
                .map(|(index, error)| (index as usize, error))
                .collect(),
        })
    }
}
