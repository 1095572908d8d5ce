//! The figures of this process.

use std::collections::BTreeMap;

use crate::base::counted;
pub use crate::base::counters::Histogram;
use crate::base::counters::{Counters, CONNECTIONS, REQUESTS};
use crate::reach::pool;
use crate::receive::delivery::Outcome;

/// The figures of one queue, since this process began.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueMetrics {
    /// The pipeline's name; `*` stands for all queues that are not counted separately.
    pub queue: String,
    /// Its endpoint, without secrets.
    pub endpoint: String,
    /// Jobs given to a push.
    pub pushed: u64,
    /// Of these, confirmed by the broker.
    pub confirmed: u64,
    /// Of these, not confirmed, by kind of error.
    pub failed: Vec<(&'static str, u64)>,
    /// Jobs that workers received.
    pub received: u64,
    /// Of these, delivered before.
    pub redelivered: u64,
    /// Jobs by outcome.
    pub settled: Vec<(&'static str, u64)>,
    /// Jobs that could not be settled.
    pub lost: u64,
    /// Jobs that were dropped unsettled.
    pub abandoned: u64,
    /// Jobs that workers have now.
    pub in_hand: u64,
    /// Jobs that wait in this process now.
    pub buffered: u64,
    /// How long pushes took, each of any number of jobs.
    pub push_times: Histogram,
    /// How long workers held jobs.
    pub held_times: Histogram,
}

/// The figures of all connections, since this process began.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionMetrics {
    /// Open now.
    pub open: u64,
    /// Opened.
    pub opened: u64,
    /// Of these, after a loss.
    pub reopened: u64,
    /// Lost.
    pub lost: u64,
    /// Attempts that were given up.
    pub failed: u64,
    /// Renewed locks.
    pub locks_renewed: u64,
    /// Lost locks.
    pub locks_lost: u64,
    /// Jobs that the broker took back from workers.
    pub taken_back: u64,
    /// How long pushes waited because the broker accepted no jobs, in seconds.
    pub blocked_seconds: f64,
}

/// The figures of requests, since this process began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestMetrics {
    /// Requests that the broker confirmed.
    pub sent: u64,
    /// Of these, answered in time.
    pub answered: u64,
    /// Of these, not answered in time.
    pub timed_out: u64,
    /// Replies that no one waited for (any more).
    pub late: u64,
}

/// The figures of this process.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// Of each queue that was used.
    pub queues: Vec<QueueMetrics>,
    /// Of all connections.
    pub connections: ConnectionMetrics,
    /// Of all requests.
    pub requests: RequestMetrics,
}

/// The figures of this process. Starts nothing.
#[must_use]
pub fn metrics() -> Metrics {
    let (open, buffered) = pool::buffered();
    let mut waiting: BTreeMap<*const Counters, u64> = BTreeMap::new();
    for (counters, count) in buffered {
        *waiting.entry(std::ptr::from_ref(counters)).or_default() += count;
    }
    let queues = counted::all().into_iter();
    let queues = queues.map(|(queue, endpoint, counters)| QueueMetrics {
        queue,
        endpoint,
        pushed: counters.pushed.get(),
        confirmed: counters.confirmed.get(),
        failed: counters
            .failures()
            .map(|(kind, count)| (kind.as_str(), count))
            .collect(),
        received: counters.received.get(),
        redelivered: counters.redelivered.get(),
        settled: Outcome::ALL
            .into_iter()
            .map(|outcome| (outcome.as_str(), counters.settled[outcome as usize].get()))
            .collect(),
        lost: counters.lost.get(),
        abandoned: counters.abandoned.get(),
        in_hand: counters.in_hand_now(),
        buffered: waiting
            .get(&std::ptr::from_ref(counters))
            .copied()
            .unwrap_or(0),
        push_times: counters.push_times.histogram(),
        held_times: counters.held_times.histogram(),
    });
    let all = &CONNECTIONS;
    Metrics {
        queues: queues.collect(),
        connections: ConnectionMetrics {
            open,
            opened: all.opened.get(),
            reopened: all.reopened.get(),
            lost: all.lost.get(),
            failed: all.failed.get(),
            locks_renewed: all.locks_renewed.get(),
            locks_lost: all.locks_lost.get(),
            taken_back: all.taken_back.get(),
            blocked_seconds: all.blocked_nanos.get() as f64 / 1e9,
        },
        requests: RequestMetrics {
            sent: REQUESTS.sent.get(),
            answered: REQUESTS.answered.get(),
            timed_out: REQUESTS.timed_out.get(),
            late: REQUESTS.late.get(),
        },
    }
}
