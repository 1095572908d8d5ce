//! Pauses before something that failed is tried again.

use std::time::{Duration, Instant};

use crate::base::id;

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(10);

/// What lasted no longer than this has failed at once.
const SHORT_LIFE: Duration = Duration::from_secs(2);

/// The pause after so many failures: exponential, with full jitter.
pub(crate) fn pause(failures: u32) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    let longest = Duration::from_millis(50) * 2u32.saturating_pow(failures.min(8));
    longest.min(LONGEST).mul_f64(id::jitter())
}

/// How long connections or links last, one after the other: each begins well, so
/// none counts as a failure, but without pauses they would follow each other as
/// fast as the broker breaks them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lives {
    since: Instant,
    short: u32,
}

impl Lives {
    /// One begins now, after those of `before`.
    pub fn begin(before: Option<Lives>) -> Self {
        Self::after(before.map_or(0, |before| before.ended()))
    }

    /// One begins now, after `short` short ones.
    pub fn after(short: u32) -> Self {
        Self {
            since: Instant::now(),
            short,
        }
    }

    /// How many short ones there were in a row, the one that is ending included.
    pub fn ended(&self) -> u32 {
        match self.since.elapsed() < SHORT_LIFE {
            true => self.short.saturating_add(1),
            false => 0,
        }
    }
}
