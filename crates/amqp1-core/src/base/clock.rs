//! The time of day, in the units of messages and tokens.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Unix time in milliseconds.
pub(crate) fn now_millis() -> i64 {
    since_1970().as_millis() as i64
}

/// Unix time in seconds.
pub(crate) fn now_seconds() -> u64 {
    since_1970().as_secs()
}
