//! Many jobs, pipelined.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::id;
use crate::base::wait::{Wait, SLICE};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Job;
use crate::publish::publisher::Publisher;
use crate::reach::definition::Definition;
use crate::reach::destination::Destination;

/// How many jobs pass between two reads of the clock.
const CHECK_EVERY: usize = 64;

const NOT_IN_TIME: &str = "this job was not sent: the broker confirmed nothing in time";

/// A batch in progress, created by [`crate::Queue::batch`].
#[derive(Debug)]
pub struct Batch {
    publisher: Publisher,
    ids: Vec<String>,
    checked: Instant,
    begun: Instant,
    /// The broker is unreachable or confirms nothing: no more jobs are sent.
    over: Option<Error>,
}

/// The result of a batch.
#[derive(Debug)]
pub struct BatchReport {
    /// The ids in the given order, including those of failed jobs (empty for jobs that never had
    /// one).
    pub ids: Vec<String>,
    /// Index and error of each job that was not confirmed, by index.
    pub failures: Vec<(usize, Error)>,
}

impl Batch {
    pub(crate) fn new(definition: Arc<Definition>) -> Self {
        Self {
            publisher: Publisher::for_many(definition),
            ids: Vec::new(),
            checked: Instant::now(),
            begun: Instant::now(),
            over: None,
        }
    }

    /// Sends one more job; blocks while too many are unconfirmed.
    ///
    /// If the job fails, the report contains the error under its index.
    ///
    /// # Errors
    /// Only errors that end the whole batch: [`ErrorKind::Interrupted`]; [`ErrorKind::Connection`],
    /// [`ErrorKind::Authentication`] or [`ErrorKind::Timeout`] if not even the first job could be
    /// sent.
    pub fn add(&mut self, job: &Job<'_>, wait: &Wait<'_>) -> Result<()> {
        // With a fast broker this method never waits, so no wait would run the signal handlers
        // during a long list of jobs.
        if self.ids.len() % CHECK_EVERY == CHECK_EVERY - 1 && self.checked.elapsed() >= SLICE {
            wait.check()?;
            self.checked = Instant::now();
        }
        if self.over.is_none() && !self.publisher.make_room(wait)? {
            // One timeout is enough; the following jobs must not wait for another one each.
            self.over = Some(Error::timeout(NOT_IN_TIME));
        }
        let id = match &job.options.id {
            Some(id) => id.to_string(),
            None => id::job_id()?,
        };
        if let Some(over) = &self.over {
            self.publisher.skip(over.clone());
            self.ids.push(id);
            return Ok(());
        }
        let destination = Destination::of(job);
        let sent = job
            .check()
            .and_then(|()| self.publisher.send(job, &id, destination, wait));
        self.ids.push(id);
        let Err(error) = sent else {
            // Large jobs wait here, and not before the next one: its payload would be there already.
            if self.publisher.is_full() && !self.publisher.make_room(wait)? {
                self.over = Some(Error::timeout(NOT_IN_TIME));
            }
            return Ok(());
        };
        // It was sent if the call was interrupted while it was sent.
        if self.publisher.next_index() < self.ids.len() as u64 {
            self.publisher.skip(error.clone());
        }
        match error.kind() {
            ErrorKind::Interrupted => return Err(error),
            ErrorKind::Connection | ErrorKind::Authentication | ErrorKind::Timeout => {
                if self.ids.len() == 1 {
                    return Err(error);
                }
                // If the connection is open, only this job cannot be sent.
                if error.kind() == ErrorKind::Timeout || !self.publisher.is_connected() {
                    self.over = Some(error.context("this job was not sent"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Adds an index whose job could not be read from the caller's input.
    pub fn add_failed(&mut self, error: Error) {
        self.ids.push(String::new());
        self.publisher.skip(error);
    }

    /// The outcomes of all jobs before this index are known, and of these the failed ones (and
    /// others) are in the list.
    #[must_use]
    pub fn progress(&self) -> (u64, &[(u64, Error)]) {
        self.publisher.progress()
    }

    /// Waits for all outcomes. Jobs without one at the deadline are reported as
    /// [`ErrorKind::Timeout`].
    ///
    /// # Errors
    /// Only [`ErrorKind::Interrupted`].
    pub fn finish(self, wait: &Wait<'_>) -> Result<BatchReport> {
        // The time was already used up when the batch gave up.
        let wait = match self.over {
            Some(_) => wait.at_most(Duration::ZERO),
            None => *wait,
        };
        let ids = self.ids;
        let named = |(index, error): (u64, Error)| {
            let index = index as usize;
            match (error.kind(), ids.get(index)) {
                (ErrorKind::Timeout, Some(id)) => (index, error.context(format_args!("job {id}"))),
                _ => (index, error),
            }
        };
        let counters = self.publisher.definition().counters();
        let jobs = ids.len() as u64;
        counters.pushed.add(jobs);
        let failures = self.publisher.finish(&wait);
        counters.push_times.note(self.begun.elapsed());
        let failures = failures.inspect_err(|error| {
            (0..jobs).for_each(|_| counters.failed(error));
        })?;
        failures
            .iter()
            .for_each(|(_, error)| counters.failed(error));
        counters
            .confirmed
            .add(jobs.saturating_sub(failures.len() as u64));
        let failures = failures.into_iter().map(named).collect();
        Ok(BatchReport { ids, failures })
    }
}
