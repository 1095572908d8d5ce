//! What a receiver may keep waiting for PHP if the user has set no prefetch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The limits of a receiver whose prefetch its consumer adapts.
#[derive(Debug, Clone)]
pub(crate) struct Elastic {
    /// How long a delivery may wait while PHP works on another one. `None` if returns to the broker
    /// are not for nothing.
    pub patience: Option<Duration>,
    /// The most bytes that may wait.
    pub bytes: usize,
    /// The highest prefetch. It also limits what PHP may hold unsettled.
    pub most: u32,
    /// When PHP last got a delivery of any of the consumer's receivers.
    pub taken: Arc<LastTaken>,
}

/// When PHP last got a delivery of any of a consumer's receivers. Read by the connections' own
/// threads.
#[derive(Debug)]
pub(crate) struct LastTaken {
    start: Instant,
    /// In nanoseconds since the start.
    at: AtomicU64,
}

impl LastTaken {
    pub fn new(now: Instant) -> Self {
        Self {
            start: now,
            at: AtomicU64::new(0),
        }
    }

    /// Records that PHP gets a delivery.
    pub fn set(&self, now: Instant) {
        let since = now.saturating_duration_since(self.start);
        let seconds = since.as_secs().saturating_mul(1_000_000_000);
        let nanos = seconds.saturating_add(u64::from(since.subsec_nanos()));
        self.at.store(nanos, Ordering::Relaxed);
    }

    /// How long ago that was.
    pub fn ago(&self, now: Instant) -> Duration {
        let at = self.start + Duration::from_nanos(self.at.load(Ordering::Relaxed));
        now.saturating_duration_since(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_since_the_last_one() {
        let start = Instant::now();
        let taken = LastTaken::new(start);
        let second = Duration::from_secs(1);
        assert_eq!(taken.ago(start + second), second);
        taken.set(start + 2 * second);
        assert_eq!(taken.ago(start + 5 * second), 3 * second);
        assert_eq!(taken.ago(start), Duration::ZERO);
    }
}
