//! Counters of this process, by queue. A child starts from zero.
//!
//! They are plain memory, so that counting takes a few instructions, needs no lock, and can be
//! undone between fork and the child's first instruction.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// The most queues that are counted separately. The last place is for all others together.
pub(super) const MAX_QUEUES: usize = 64;

/// The upper bounds of the histogram of pushes, in nanoseconds.
const PUSH_BOUNDS: [u64; BOUNDS] = [
    500 * MICRO,
    MILLI,
    2 * MILLI + 500 * MICRO,
    5 * MILLI,
    10 * MILLI,
    25 * MILLI,
    50 * MILLI,
    100 * MILLI,
    250 * MILLI,
    500 * MILLI,
    1000 * MILLI,
    2500 * MILLI,
    5000 * MILLI,
    10_000 * MILLI,
    30_000 * MILLI,
];

/// Those of the histogram of the time that workers hold jobs.
const HELD_BOUNDS: [u64; BOUNDS] = [
    MILLI,
    5 * MILLI,
    10 * MILLI,
    50 * MILLI,
    100 * MILLI,
    500 * MILLI,
    1000 * MILLI,
    5000 * MILLI,
    10_000 * MILLI,
    30_000 * MILLI,
    60_000 * MILLI,
    300_000 * MILLI,
    600_000 * MILLI,
    1_800_000 * MILLI,
    3_600_000 * MILLI,
];

const BOUNDS: usize = 15;
const MICRO: u64 = 1000;
const MILLI: u64 = 1000 * MICRO;
/// More than there are outcomes of a job.
const OUTCOMES: usize = 16;

/// A number that only grows.
#[derive(Debug)]
pub(crate) struct Count(AtomicU64);

impl Count {
    const fn zero() -> Self {
        Self(AtomicU64::new(0))
    }

    #[inline]
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Takes back what was added too early.
    pub fn take_back(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// How long something took, by upper bound.
#[derive(Debug)]
pub(crate) struct Times {
    bounds: &'static [u64; BOUNDS],
    /// Not cumulative; the last is for all above.
    counts: [Count; BOUNDS + 1],
    nanos: Count,
}

impl Times {
    const fn new(bounds: &'static [u64; BOUNDS]) -> Self {
        Self {
            bounds,
            counts: [const { Count::zero() }; BOUNDS + 1],
            nanos: Count::zero(),
        }
    }

    #[inline]
    pub fn note(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let place = self.bounds.iter().position(|bound| nanos <= *bound);
        self.counts[place.unwrap_or(BOUNDS)].add(1);
        self.nanos.add(nanos);
    }

    /// The counts, cumulative.
    pub fn histogram(&self) -> Histogram {
        let mut sum = 0;
        let mut cumulative = self.counts.iter().map(|count| {
            sum += count.get();
            sum
        });
        let bounds = self.bounds.iter();
        let buckets = bounds.zip(&mut cumulative);
        let buckets = buckets.map(|(bound, count)| (*bound as f64 / 1e9, count));
        Histogram {
            buckets: buckets.collect(),
            count: cumulative.next().unwrap_or(0),
            sum: self.nanos.get() as f64 / 1e9,
        }
    }

    fn reset(&self) {
        self.counts.iter().for_each(Count::reset);
        self.nanos.reset();
    }
}

/// How long something took.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Upper bounds in seconds, and how often it took no longer.
    pub buckets: Vec<(f64, u64)>,
    /// How often it happened.
    pub count: u64,
    /// The sum of all times, in seconds.
    pub sum: f64,
}

/// The counters of one queue.
#[derive(Debug)]
pub(crate) struct Counters {
    pub pushed: Count,
    pub confirmed: Count,
    /// By kind of error.
    failed: [Count; ErrorKind::ALL.len()],
    pub received: Count,
    pub redelivered: Count,
    /// By outcome.
    pub settled: [Count; OUTCOMES],
    pub lost: Count,
    pub abandoned: Count,
    in_hand: AtomicI64,
    pub push_times: Times,
    pub held_times: Times,
}

impl Counters {
    const fn new() -> Self {
        Self {
            pushed: Count::zero(),
            confirmed: Count::zero(),
            failed: [const { Count::zero() }; ErrorKind::ALL.len()],
            received: Count::zero(),
            redelivered: Count::zero(),
            settled: [const { Count::zero() }; OUTCOMES],
            lost: Count::zero(),
            abandoned: Count::zero(),
            in_hand: AtomicI64::new(0),
            push_times: Times::new(&PUSH_BOUNDS),
            held_times: Times::new(&HELD_BOUNDS),
        }
    }

    /// Counts a job that was not confirmed.
    pub fn failed(&self, error: &Error) {
        let kind = ErrorKind::ALL.iter().position(|kind| *kind == error.kind());
        if let Some(kind) = kind {
            self.failed[kind].add(1);
        }
    }

    /// The number of failed jobs for each kind of error.
    pub fn failures(&self) -> impl Iterator<Item = (ErrorKind, u64)> + '_ {
        let kinds = ErrorKind::ALL.into_iter();
        kinds.zip(self.failed.iter().map(Count::get))
    }

    /// A worker has one more job in hand, or one less.
    #[inline]
    pub fn in_hand(&self, change: i64) {
        self.in_hand.fetch_add(change, Ordering::Relaxed);
    }

    /// How many jobs workers have in hand.
    pub fn in_hand_now(&self) -> u64 {
        self.in_hand.load(Ordering::Relaxed).max(0).unsigned_abs()
    }

    fn reset(&self) {
        let single = [
            &self.pushed,
            &self.confirmed,
            &self.received,
            &self.redelivered,
            &self.lost,
            &self.abandoned,
        ];
        single.into_iter().for_each(Count::reset);
        self.failed.iter().for_each(Count::reset);
        self.settled.iter().for_each(Count::reset);
        self.in_hand.store(0, Ordering::Relaxed);
        self.push_times.reset();
        self.held_times.reset();
    }
}

/// A queue, in events and figures of its links.
#[derive(Debug)]
pub(crate) struct CountedQueue {
    pub counters: &'static Counters,
    /// The endpoint, without secrets.
    pub endpoint: String,
    /// The broker's name of the queue.
    pub queue: String,
}

pub(super) static QUEUES: [Counters; MAX_QUEUES + 1] = [const { Counters::new() }; MAX_QUEUES + 1];
/// How many places are taken, the last one apart.
pub(super) static TAKEN: AtomicUsize = AtomicUsize::new(0);
/// The counters of connections.
#[derive(Debug)]
pub(crate) struct ConnectionCounters {
    pub opened: Count,
    pub reopened: Count,
    pub lost: Count,
    pub failed: Count,
    pub locks_renewed: Count,
    pub locks_lost: Count,
    pub taken_back: Count,
    pub blocked_nanos: Count,
}

pub(crate) static CONNECTIONS: ConnectionCounters = ConnectionCounters {
    opened: Count::zero(),
    reopened: Count::zero(),
    lost: Count::zero(),
    failed: Count::zero(),
    locks_renewed: Count::zero(),
    locks_lost: Count::zero(),
    taken_back: Count::zero(),
    blocked_nanos: Count::zero(),
};

/// The counters of requests.
#[derive(Debug)]
pub(crate) struct RequestCounters {
    pub sent: Count,
    pub answered: Count,
    pub timed_out: Count,
    pub late: Count,
}

pub(crate) static REQUESTS: RequestCounters = RequestCounters {
    sent: Count::zero(),
    answered: Count::zero(),
    timed_out: Count::zero(),
    late: Count::zero(),
};

/// Starts from zero, in a child. Between fork and exec, so it only writes to memory.
pub(super) fn reset() {
    for counters in QUEUES.iter().take(TAKEN.load(Ordering::Relaxed)) {
        counters.reset();
    }
    QUEUES[MAX_QUEUES].reset();
    let all = &CONNECTIONS;
    let counts = [
        &all.opened,
        &all.reopened,
        &all.lost,
        &all.failed,
        &all.locks_renewed,
        &all.locks_lost,
        &all.taken_back,
        &all.blocked_nanos,
    ];
    counts.into_iter().for_each(Count::reset);
    let all = &REQUESTS;
    let counts = [&all.sent, &all.answered, &all.timed_out, &all.late];
    counts.into_iter().for_each(Count::reset);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_cumulative_and_its_bounds_are_inclusive() {
        let times = Times::new(&PUSH_BOUNDS);
        for micros in [1, 500, 501, 1000, 40_000_000] {
            times.note(Duration::from_micros(micros));
        }
        let histogram = times.histogram();
        assert_eq!(histogram.buckets[..2], [(0.0005, 2), (0.001, 4)]);
        assert_eq!(histogram.buckets.last(), Some(&(30.0, 4)));
        assert_eq!(histogram.count, 5);
        assert!((histogram.sum - 40.002_002).abs() < 1e-9);
        times.reset();
        assert_eq!(times.histogram().count, 0);
    }
}
