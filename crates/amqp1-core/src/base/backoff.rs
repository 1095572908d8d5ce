//! Pauses before retries.

use std::time::{Duration, Instant};

use crate::base::id;

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(10);

/// A connection or link that lasted no longer than this counts as an immediate failure.
const SHORT_LIFE: Duration = Duration::from_secs(2);

/// The pause after this many failures: exponential, with full jitter.
pub(crate) fn pause(failures: u32) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    let longest = Duration::from_millis(50) * 2u32.saturating_pow(failures.min(8));
    longest.min(LONGEST).mul_f64(id::jitter())
}

/// The lifetimes of successive connections or links. Each one starts successfully, so none counts
/// as a failure. Without pauses, however, a new one would follow as fast as the broker breaks them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lives {
    since: Instant,
    short: u32,
}

impl Lives {
    /// Starts a lifetime that follows `before`.
    pub fn begin(before: Option<Lives>) -> Self {
        Self::after(before.map_or(0, |before| before.ended()))
    }

    /// Starts a lifetime that follows `short` short ones.
    pub fn after(short: u32) -> Self {
        Self {
            since: Instant::now(),
            short,
        }
    }

    /// If this lifetime ended now: how many successive ones were short, including this one.
    pub fn ended(&self) -> u32 {
        match self.since.elapsed() < SHORT_LIFE {
            true => self.short.saturating_add(1),
            false => 0,
        }
    }
}
