//! How many jobs a consumer asks for in advance if the user names no prefetch.
//!
//! Jobs in the buffer hide the time that the broker needs to send the next one. More of them than
//! that only keep jobs from other consumers, use memory, and are delivered again if the process is
//! killed. What is needed depends on how long a job takes, so the prefetch is the number of jobs
//! that PHP is expected to process in [`SPAN`]:
//!
//! - It starts at [`FIRST`], and at most doubles each time that many jobs have been processed.
//! - It falls as soon as one job takes longer than expected, because the expected time rises by
//!   half of the difference at once. It sinks slowly, by an eighth with each shorter job, so that
//!   occasional long jobs keep the prefetch low.
//! - It is at least two, or one if a job takes [`LONG`]: a worker then holds only the job that it
//!   works on. It is at least as many jobs as one call asks for.
//! - It is at most [`MOST`], and at most what fits into half of [`BYTES`].
//!
//! The time of a job is the time from handing it out until PHP asks for the next one. A job that is
//! still being processed has no time yet: meanwhile, the receiver returns what waits behind it.

use std::time::{Duration, Instant};

/// The time for which the jobs of the prefetch should last, in nanoseconds: 100 ms.
const SPAN: u64 = 100_000_000;

/// A job that takes as long has no other behind it, in nanoseconds: 1 s.
const LONG: u64 = 1_000_000_000;

/// The prefetch before any job has been processed.
const FIRST: u32 = 4;

/// The highest prefetch.
pub(crate) const MOST: u32 = 500;

/// The highest prefetch where jobs cannot be returned for nothing.
pub(crate) const MOST_KEPT: u32 = 32;

/// The most bytes in the buffers of a consumer.
pub(crate) const BYTES: usize = 16 * 1024 * 1024;

/// A consumer's speed, and what follows from it.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The expected time of a job in nanoseconds, once one has been processed.
    time: Option<u64>,
    /// The expected size of a job, in bytes.
    size: usize,
    prefetch: u32,
    /// Jobs processed since the prefetch was last decided.
    processed: u32,
    /// When PHP got the jobs that it processes, and how many.
    handed_out: Option<(Instant, u32)>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            time: None,
            size: 0,
            prefetch: FIRST,
            processed: 0,
            handed_out: None,
        }
    }
}

impl Pace {
    /// The number of jobs to hold at once, for all queues of the consumer together.
    pub fn prefetch(&self) -> u32 {
        self.prefetch
    }

    /// PHP has got `jobs` jobs of `bytes` bytes in total.
    pub fn hands_out(&mut self, jobs: u32, bytes: usize, now: Instant) {
        if jobs > 0 {
            self.handed_out = Some((now, jobs));
            let size = bytes / jobs as usize;
            self.size = match size > self.size {
                true if self.size == 0 => size,
                true => size.midpoint(self.size),
                false => self.size - (self.size - size) / 8,
            };
        }
    }

    /// PHP asks for up to `count` jobs, so it has processed the previous ones. True if the prefetch
    /// was decided again.
    pub fn asks(&mut self, count: u32, now: Instant) -> bool {
        if let Some((since, jobs)) = self.handed_out.take() {
            self.learn(nanos(now.saturating_duration_since(since)) / u64::from(jobs));
            self.processed = self.processed.saturating_add(jobs);
        }
        let count = count.min(MOST);
        let fitting = self.fitting(count);
        let is_full = self.processed >= self.prefetch;
        // Less, or what the call needs, at once.
        let is_urgent = fitting <= self.prefetch / 2 || (count > self.prefetch && fitting >= count);
        if !is_full && !is_urgent {
            return false;
        }
        self.prefetch = fitting.min(self.prefetch.saturating_mul(2).max(count));
        self.processed = 0;
        true
    }

    fn learn(&mut self, time: u64) {
        self.time = Some(match self.time {
            None => time,
            Some(expected) if time > expected => expected + (time - expected) / 2,
            Some(expected) => expected - (expected - time) / 8,
        });
    }

    /// The number of jobs that suit the time and the size of one.
    fn fitting(&self, count: u32) -> u32 {
        let in_time = match self.time {
            Some(time) if time >= LONG => 1,
            Some(time) => {
                let jobs = SPAN / time.max(1);
                u32::try_from(jobs).unwrap_or(MOST).clamp(2, MOST)
            }
            None => MOST,
        };
        let in_bytes = u32::try_from(BYTES / 2 / self.size.max(1)).unwrap_or(MOST);
        in_time.max(count).min(in_bytes.max(1))
    }
}

fn nanos(time: Duration) -> u64 {
    time.as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(time.subsec_nanos()))
}

/// One queue's share of the prefetch of a consumer of several `queues`: by the jobs that came from
/// it, of all that came lately. Every queue has a small share, so that its first jobs can arrive.
pub(crate) fn share(prefetch: u32, (own, all): (u32, u32), queues: u32) -> u32 {
    let even = prefetch / queues.max(1);
    let by_use = u64::from(prefetch) * u64::from(own) / u64::from(all.max(1));
    let least = match all {
        0 => even,
        _ => even / 4,
    };
    u32::try_from(by_use).unwrap_or(prefetch).max(least).max(1)
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
