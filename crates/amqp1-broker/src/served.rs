//! What a broker is to its face, whatever its dialect.

use std::fmt;
use std::sync::Arc;

use crate::amqp::transport::{Engine, Timeouts};

/// Numbers of a queue's messages and consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueCounts {
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Messages that are scheduled, or whose redelivery is put off.
    pub delayed: u64,
    /// Messages that consumers hold and have not settled.
    pub unsettled: u64,
    /// Consumers attached.
    pub consumers: u32,
}

/// What all connections to a broker share, in one dialect.
pub(crate) trait Served: fmt::Debug + Send + Sync {
    /// A new connection's end.
    fn connect(self: Arc<Self>) -> Box<dyn Engine>;
    fn timeouts(&self) -> Timeouts;
    /// Closes all connections, and every later one.
    fn shut_down(&self);
    /// `None` where there is no such queue.
    fn queue_counts(&self, queue: &str) -> Option<QueueCounts>;
    /// Sorted.
    fn queue_names(&self) -> Vec<String>;
    fn connection_count(&self) -> usize;

    /// Adds faults, one a line. The error says which line is wrong; nothing is added then.
    fn inject(&self, _faults: &str) -> Result<(), String> {
        Err("this dialect has no faults".to_owned())
    }

    /// The same in the place of the faults that wait.
    fn replace_faults(&self, faults: &str) -> Result<(), String> {
        self.inject(faults)
    }

    /// Faults that were added and have not happened.
    fn pending_faults(&self) -> usize {
        0
    }
}
