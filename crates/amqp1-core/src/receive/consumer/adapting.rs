//! Adapts the prefetch to PHP's speed, for queues whose user has set none: see
//! [`crate::receive::pace`].
//!
//! The prefetch is the consumer's: its queues share it, because PHP works on one job at a time.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::Consumer;
use crate::base::sync::Mutex;
use crate::connection::LastTaken;
use crate::receive::delivery::Delivery;
use crate::receive::pace::Pace;

/// What all queues of a consumer need to adapt.
#[derive(Debug)]
pub(super) struct Adapting {
    pace: Mutex<Pace>,
    pub taken: Arc<LastTaken>,
}

impl Default for Adapting {
    fn default() -> Self {
        Self {
            pace: Mutex::new(Pace::default()),
            taken: Arc::new(LastTaken::new(Instant::now())),
        }
    }
}

impl Consumer {
    /// Records that PHP asks for up to `count` jobs, and adapts the queues if it is time.
    pub(super) fn asks(&self, count: usize) {
        if !self.adapts {
            return;
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let prefetch = {
            let mut pace = self.adapting.pace.lock();
            pace.asks(count, Instant::now()).then(|| pace.prefetch())
        };
        if let Some(prefetch) = prefetch {
            let jobs: Vec<u32> = self
                .attachments
                .iter()
                .map(|attachment| attachment.prefetch.jobs())
                .collect();
            let all = jobs.iter().sum();
            for (attachment, jobs) in self.attachments.iter().zip(jobs) {
                attachment.adapt(prefetch, (jobs, all));
            }
        }
    }

    /// Records that PHP gets these jobs.
    pub(super) fn hands_out(&self, jobs: &[Rc<Delivery>]) {
        if jobs.is_empty() {
            return;
        }
        let now = Instant::now();
        jobs.iter().for_each(|job| job.hand_out(now));
        if self.adapts {
            let bytes = jobs.iter().map(|job| job.body().len()).sum();
            let count = u32::try_from(jobs.len()).unwrap_or(u32::MAX);
            self.adapting.taken.set(now);
            self.adapting.pace.lock().hands_out(count, bytes, now);
        }
    }
}
