//! The current time, in the unit of the models.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far tests have moved the clock of this process's brokers, in milliseconds.
static AHEAD: AtomicU64 = AtomicU64::new(0);

/// Moves the clock of all brokers of this process forward, for tests: delayed messages become due,
/// TTLs, locks and consumer timeouts pass. [`Broker::wake`](crate::Broker::wake) makes a broker act
/// on it at once.
pub fn advance_clock(by: Duration) {
    AHEAD.fetch_add(ms(by), Ordering::Relaxed);
}

/// Unix milliseconds.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, ms);
    now.saturating_add(AHEAD.load(Ordering::Relaxed))
}

/// A duration in whole milliseconds.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
