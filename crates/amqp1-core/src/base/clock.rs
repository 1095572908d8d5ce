//! The time of day, in the units of messages and tokens.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far tests have moved the clock of this process, in milliseconds.
static AHEAD: AtomicU64 = AtomicU64::new(0);

/// Moves the time of messages and tokens forward. Only for tests on the embedded broker, whose clock
/// moves with it.
pub(crate) fn advance(by: Duration) {
    let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    AHEAD.fetch_add(by, Ordering::Relaxed);
}

/// Whether tests have moved it.
pub(crate) fn is_moved() -> bool {
    AHEAD.load(Ordering::Relaxed) != 0
}

fn of_messages() -> Duration {
    since_1970() + Duration::from_millis(AHEAD.load(Ordering::Relaxed))
}

/// The time of day, whatever tests have moved.
pub(crate) fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Unix time in milliseconds.
pub(crate) fn now_millis() -> i64 {
    of_messages().as_millis() as i64
}

/// Unix time in seconds.
pub(crate) fn now_seconds() -> u64 {
    of_messages().as_secs()
}
