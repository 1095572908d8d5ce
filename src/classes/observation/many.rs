//! Tells the observers about the jobs of `pushMany()`, each as soon as its outcome is known.

use std::collections::{HashMap, VecDeque};

use amqp1_core::{Batch, BatchReport, Error, Job, PushTarget, Queue};

use super::pushes::{self, Observed};
use crate::fail::Fail;

/// The observed jobs of a batch.
#[derive(Debug, Default)]
pub struct PushedMany {
    /// In order of index.
    open: VecDeque<(usize, PushTarget, Observed)>,
    /// Failures of jobs whose turn has not come.
    failed: HashMap<u64, Error>,
    /// How many of the batch's failures were seen.
    seen: usize,
}

impl PushedMany {
    /// Tells the observers that a job is about to be sent.
    ///
    /// # Errors
    /// As [`pushes::begin`].
    pub fn begin(&mut self, queue: &Queue, job: &mut Job<'_>, index: usize) -> Result<(), Fail> {
        if let Some(observed) = pushes::begin("push_many", queue, job, Some(index))? {
            let target = queue.target_of(job);
            self.open.push_back((index, target, observed));
        }
        Ok(())
    }

    /// Tells the observers of the outcomes that are known by now. The newest job waits, because it
    /// may be the last one.
    ///
    /// # Errors
    /// As [`Observed::end`].
    pub fn go_on(&mut self, queue: &Queue, batch: &Batch) -> Result<(), Fail> {
        if self.open.is_empty() {
            return Ok(());
        }
        let (known, failures) = batch.progress();
        for (index, error) in failures.iter().skip(self.seen) {
            self.failed.insert(*index, error.clone());
        }
        self.seen = failures.len();
        let is_known = |one: &(usize, PushTarget, Observed)| (one.0 as u64) < known;
        while self.open.len() > 1 && self.open.front().is_some_and(is_known) {
            self.end_next(queue, None, false)?;
        }
        Ok(())
    }

    /// Tells the observers of the outcome of the first job that they wait for.
    fn end_next(
        &mut self,
        queue: &Queue,
        interrupted: Option<&Error>,
        is_last: bool,
    ) -> Result<(), Fail> {
        let Some((index, mut target, observed)) = self.open.pop_front() else {
            return Ok(());
        };
        target.broker = queue.dialect();
        if let Some(push) = observed.push().filter(|_| is_last) {
            push.is_its_last();
        }
        let failed = self.failed.remove(&(index as u64));
        observed.end(failed.as_ref().or(interrupted), Some(target))
    }

    /// Tells the observers of the other outcomes; an interruption is the outcome of all of them.
    ///
    /// # Errors
    /// As the report; as [`Observed::end`].
    pub fn end(
        mut self,
        queue: &Queue,
        report: Result<BatchReport, Fail>,
    ) -> Result<BatchReport, Fail> {
        if self.open.is_empty() || matches!(report, Err(Fail::Bailout)) {
            return report;
        }
        let interrupted = match &report {
            Ok(report) => {
                let failures = report.failures.iter();
                self.failed
                    .extend(failures.map(|(index, error)| (*index as u64, error.clone())));
                None
            }
            Err(Fail::Core(error)) => Some(error.clone()),
            Err(_) => Some(pushes::interrupted()),
        };
        while !self.open.is_empty() {
            let is_last = self.open.len() == 1;
            self.end_next(queue, interrupted.as_ref(), is_last)?;
        }
        report
    }
}
