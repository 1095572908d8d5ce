//! How many jobs of one queue a consumer holds at once.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Arc;
use std::time::Duration;

use super::Attachment;
use crate::connection::{Elastic, LastTaken};
use crate::receive::pace::{self, Pace};

/// How long a job may wait in the buffer while PHP works on another one.
const PATIENCE: Duration = Duration::from_secs(1);

/// The prefetch of one queue.
#[derive(Debug)]
pub(crate) enum Prefetch {
    /// As the user has set it.
    Set(u32),
    /// As it suits PHP's speed: see [`crate::receive::pace`].
    Adapted(Adapted),
}

/// One queue's share of what its consumer holds.
#[derive(Debug)]
pub(crate) struct Adapted {
    share: AtomicU32,
    /// Whether jobs can be returned to the broker for nothing.
    returns: AtomicBool,
    /// Jobs taken from the queue since the share was last decided.
    jobs: AtomicU32,
    /// The number of queues that share the prefetch.
    queues: u32,
    taken: Arc<LastTaken>,
}

impl Prefetch {
    /// For one of `queues` queues, whose user has set no prefetch.
    pub fn adapted(queues: usize, taken: &Arc<LastTaken>) -> Self {
        let queues = u32::try_from(queues).unwrap_or(u32::MAX).max(1);
        Self::Adapted(Adapted {
            share: AtomicU32::new(pace::share(Pace::default().prefetch(), (0, 0), queues)),
            returns: AtomicBool::new(false),
            jobs: AtomicU32::new(0),
            queues,
            taken: Arc::clone(taken),
        })
    }

    /// The number of jobs to hold now.
    pub fn now(&self) -> u32 {
        match self {
            Prefetch::Set(prefetch) => *prefetch,
            Prefetch::Adapted(adapted) => adapted.now(),
        }
    }

    /// Whether it is not as the user has set it.
    pub fn adapts(&self) -> bool {
        matches!(self, Prefetch::Adapted(_))
    }

    /// Records that a job was taken.
    pub fn took_one(&self) {
        if let Prefetch::Adapted(adapted) = self {
            adapted.jobs.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The limits for the link, if it adapts; `returns`: jobs can be returned to this broker for
    /// nothing.
    pub fn limits(&self, returns: bool) -> Option<Elastic> {
        let Prefetch::Adapted(adapted) = self else {
            return None;
        };
        adapted.returns.store(returns, Ordering::Relaxed);
        Some(Elastic {
            patience: returns.then_some(PATIENCE),
            bytes: pace::BYTES / adapted.queues as usize,
            most: pace::MOST,
            taken: Arc::clone(&adapted.taken),
        })
    }

    /// The jobs taken from the queue since the last call.
    pub fn jobs(&self) -> u32 {
        match self {
            Prefetch::Set(_) => 0,
            Prefetch::Adapted(adapted) => adapted.jobs.swap(0, Ordering::Relaxed),
        }
    }

    /// Decides the queue's share of the consumer's prefetch, if it adapts: by its jobs and all jobs
    /// since the last time. True if it changed.
    fn decide(&self, prefetch: u32, jobs: (u32, u32)) -> bool {
        let Prefetch::Adapted(adapted) = self else {
            return false;
        };
        let before = adapted.now();
        let share = pace::share(prefetch, jobs, adapted.queues);
        adapted.share.store(share, Ordering::Relaxed);
        adapted.now() != before
    }
}

impl Adapted {
    fn now(&self) -> u32 {
        let most = match self.returns.load(Ordering::Relaxed) {
            true => pace::MOST,
            false => pace::MOST_KEPT,
        };
        self.share.load(Ordering::Relaxed).min(most)
    }
}

impl Attachment {
    /// Gives the queue its share of the consumer's prefetch, if it adapts; see [`Prefetch::jobs`].
    pub fn adapt(&self, prefetch: u32, jobs: (u32, u32)) {
        if self.prefetch.decide(prefetch, jobs) && !self.is_paused() {
            if let Some(link) = self.link() {
                // A lost link has already returned everything.
                let _ = link.set_prefetch(self.prefetch.now());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn adapted(queues: usize) -> Prefetch {
        Prefetch::adapted(queues, &Arc::new(LastTaken::new(Instant::now())))
    }

    #[test]
    fn what_the_user_has_set_stays_so() {
        let prefetch = Prefetch::Set(7);
        prefetch.took_one();
        assert!(!prefetch.adapts() && !prefetch.decide(500, (1, 1)));
        assert_eq!((prefetch.now(), prefetch.jobs()), (7, 0));
        assert!(prefetch.limits(true).is_none());
    }

    #[test]
    fn it_is_lower_where_returns_cost_something() {
        let prefetch = adapted(1);
        let limits = prefetch.limits(false).map(|limits| limits.patience);
        assert_eq!(limits, Some(None));
        assert!(prefetch.decide(500, (1, 1)));
        assert_eq!(prefetch.now(), pace::MOST_KEPT);
        let limits = prefetch.limits(true).map(|limits| limits.patience);
        assert_eq!((limits, prefetch.now()), (Some(Some(PATIENCE)), 500));
        assert!(!prefetch.decide(500, (1, 1)));
    }

    #[test]
    fn queues_share_what_may_wait() {
        let prefetch = adapted(4);
        let limits = prefetch.limits(true).map(|limits| limits.bytes);
        assert_eq!((limits, prefetch.now()), (Some(pace::BYTES / 4), 1));
        (0..3).for_each(|_| prefetch.took_one());
        assert_eq!([prefetch.jobs(), prefetch.jobs()], [3, 0]);
        assert!(prefetch.decide(100, (3, 6)));
        assert_eq!(prefetch.now(), 50);
    }
}
