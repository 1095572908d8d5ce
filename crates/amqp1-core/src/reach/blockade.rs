//! Whether the broker accepts jobs: a push that waits for credit is told of once, and so is the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::base::counters::CONNECTIONS;
use crate::base::sync::Mutex;

/// How long a push waits without any outcome before this is asked. Credit that comes a little later
/// is normal.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Blockade {
    is_on: AtomicBool,
    since: Mutex<Option<Instant>>,
}

impl Blockade {
    /// A push is blocked. True for the first one.
    pub fn begin(&self, now: Instant) -> bool {
        let is_first = !self.is_on.swap(true, Ordering::Relaxed);
        if is_first {
            *self.since.lock() = Some(now);
        }
        is_first
    }

    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// The broker accepts jobs again. Returns for how long it did not.
    pub fn end(&self) -> Option<Duration> {
        self.is_on.store(false, Ordering::Relaxed);
        self.since.lock().take().map(|since| since.elapsed())
    }
}

/// Counts the time that a push is blocked.
pub(crate) struct Counted(pub Instant);

impl Drop for Counted {
    fn drop(&mut self) {
        let nanos = u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX);
        CONNECTIONS.blocked_nanos.add(nanos);
    }
}
