//! The failed queue, for jobs that are not retried, and the way back.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bstr::{BStr, BString};

use crate::base::clock::now_millis;
use crate::base::wait::Wait;
use crate::error::Result;
use crate::publish::observed;
use crate::publish::publisher::Publisher;
use crate::queue::Queue;
use crate::reach::definition::Definition;
use crate::receive::delivery::Delivery;
use crate::receive::pull::Pull;
use crate::settings::options::QueueOptions;
use crate::settings::retry::{FailedQueue, RetryOptions};
use crate::settings::spec::Spec;

/// The number of jobs that are moved together.
const ROUND: u32 = 256;

/// The most jobs that are held back while others are looked for.
const MAX_HELD: usize = 10_000;

/// The retry policy of the failed queue itself. '@dead-letter' leads to it, and it has no
/// dead-letter queue of its own.
fn own_retry(definition: &Definition) -> RetryOptions {
    let mut retry = definition.options.retry.clone();
    retry.keeps_lost = true;
    if definition
        .presumed()
        .dead_letter_queue(&definition.broker_queue)
        .is_none()
    {
        retry.failed_queue = retry
            .failed_queue
            .filter(|queue| *queue != FailedQueue::BrokersOwn);
    }
    retry
}

/// Detects jobs that fail again while failed jobs are moved back.
#[derive(Debug)]
struct Again {
    started: i64,
    /// Jobs that were moved although their failure is in the future: the clock of the host where
    /// they failed is ahead of ours, so their time says nothing.
    moved: HashSet<BString>,
}

impl Default for Again {
    fn default() -> Self {
        Self {
            started: now_millis(),
            moved: HashSet::new(),
        }
    }
}

impl Again {
    /// Whether the job failed after this began. If not, it may be moved.
    fn has_failed(&mut self, id: &BStr, failed_at: Option<i64>) -> bool {
        match failed_at {
            Some(at) if at > now_millis() => !self.moved.insert(id.to_owned()),
            Some(at) => at > self.started,
            None => false,
        }
    }
}

impl Queue {
    /// The failed queue as a queue: to count, inspect, consume or purge.
    ///
    /// # Errors
    /// Unsupported if the broker has no dead-letter queue of its own.
    pub fn failed(&self) -> Result<Queue> {
        let definition = self.definition();
        let name = definition.failed_queue(definition.options.retry.failed_queue())?;
        let usual = &definition.options;
        let options = QueueOptions {
            name: None,
            timeout: usual.timeout,
            redial_timeout: usual.redial_timeout,
            heartbeat: usual.heartbeat,
            container_id: usual.container_id.clone(),
            declare: usual.declare,
            topology: usual.beside().topology,
            prefetch: usual.prefetch,
            retry: own_retry(definition),
            tls: usual.tls.clone(),
            token: usual.token.clone(),
            max_lock_renewal: usual.max_lock_renewal,
            observer: usual.observer,
            logger: usual.logger,
            ..QueueOptions::default()
        };
        let endpoint = definition.endpoint.clone();
        let pipeline = name.clone();
        Ok(Queue::of(Definition::new(Spec::new(
            endpoint, name, pipeline, options,
        ))))
    }

    /// Moves jobs from the failed queue back to their original queues, with their attempts reset;
    /// returns how many. It moves at most `max`; with `ids` only those, and none if the list is
    /// empty. Each job is confirmed in its queue before it leaves the failed queue, so a crash in
    /// between duplicates it. Jobs that fail again in the meantime stay.
    ///
    /// The deadline of `wait` applies to every 256 jobs.
    ///
    /// # Errors
    /// The error of sending a job back, and how many were moved before; the job is then still in
    /// the failed queue.
    pub fn retry_failed(
        &self,
        max: Option<u64>,
        ids: Option<&[BString]>,
        wait: &Wait<'_>,
    ) -> Result<u64> {
        let mut again = Again::default();
        let by_id = ids.is_some();
        let mut wanted: HashSet<&BStr> = ids.into_iter().flatten().map(AsRef::as_ref).collect();
        let max = max.unwrap_or(u64::MAX);
        let failed = self.failed()?;
        let pull = Pull::new(failed.definition());
        let timeout = wait.left();
        let (mut moved, mut held) = (0, Vec::new());
        while moved < max && (!by_id || !wanted.is_empty()) && held.len() < MAX_HELD {
            let wait = &wait.restarted(timeout);
            let room = match by_id {
                true => ROUND,
                false => u32::try_from(max - moved).unwrap_or(ROUND).min(ROUND),
            };
            let jobs = pull.take(room, Duration::ZERO, wait)?;
            if jobs.is_empty() {
                break;
            }
            let (now, later): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| match by_id {
                true => moved < max && wanted.remove(job.id()),
                false => !again.has_failed(job.id(), job.failed_at()),
            });
            let ends = !by_id && !later.is_empty();
            held.extend(later);
            moved += self.send_back(&now, wait).map_err(|error| match moved {
                0 => error,
                _ => error.context(format!("after {moved} jobs were moved back")),
            })?;
            // Jobs that failed after this began are at the end of the queue.
            if ends {
                break;
            }
        }
        pull.close();
        Ok(moved)
    }

    /// Sends confirmed copies, then settles the originals.
    fn send_back(&self, jobs: &[Rc<Delivery>], wait: &Wait<'_>) -> Result<u64> {
        let mut publisher = Publisher::new(Arc::clone(self.definition()));
        let mut observed = Vec::new();
        for job in jobs {
            match job.send_back(&mut publisher, wait) {
                Ok(told) => observed.push(told),
                Err(error) => {
                    // Their outcome is not awaited.
                    let mut told = observed.into_iter();
                    told.try_for_each(|told| observed::after(told, Some(&error)))?;
                    return Err(error);
                }
            }
        }
        let failures = publisher.finish(wait)?;
        for (index, observed) in observed.into_iter().enumerate() {
            let failure = failures.iter().find(|(at, _)| *at == index as u64);
            observed::after(observed, failure.map(|(_, error)| error))?;
        }
        let mut moved = 0;
        for (index, job) in jobs.iter().enumerate() {
            if failures.iter().all(|(failed, _)| *failed != index as u64) {
                job.leave(wait);
                moved += 1;
            }
        }
        match failures.into_iter().next() {
            None => Ok(moved),
            Some((index, error)) => {
                let id = jobs.get(index as usize).map_or("".into(), |job| job.id());
                Err(error.context(format!(
                    "job {id} stays in the failed queue ({moved} moved)"
                )))
            }
        }
    }
}
