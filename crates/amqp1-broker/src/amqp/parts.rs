//! The types that a dialect adds to AMQP's connections, sessions and links.

use std::fmt::Debug;

use super::ids::{ConnectionId, LinkId};

/// The bounds on every such type: a connection moves between threads with its task.
pub(crate) trait Part: Debug + Send + 'static {}

impl<T: Debug + Send + 'static> Part for T {}

/// A dialect's own types. The type of its settings stands for the dialect.
pub(crate) trait Parts: Part + Sync + Sized {
    type Model: Model;
    /// Added to a connection.
    type OfConnection: Part;
    /// Added to a session.
    type OfSession: Part + Default;
    type OfLink: Part;
    /// Added to a link whose peer sends: where messages go.
    type OfIncoming: Part;
    /// Added to a link whose peer receives.
    type OfOutgoing: Part;
    /// The queue that a link's peer receives from.
    type Queue: Part;
    /// Identifies the message of a waiting delivery; the default is no message.
    type Given: Part + Default;
    /// Identifies the message of a completely sent delivery that the model must be told about.
    type Sent: Part;
    /// Identifies the message of a delivery that its receiver has to settle.
    type Unsettled: Part;
    /// Faults other than those of links, sessions and connections.
    type Fault: Part;

    /// The model in its initial state, as the settings define it.
    fn model(&self) -> Self::Model;
}

/// Queues, messages, and the links attached to them. Plain data: no I/O, no clock. Times are Unix
/// milliseconds.
pub(crate) trait Model: Send + 'static {
    fn connect(&mut self) -> ConnectionId;
    /// Forgets a connection and its links.
    fn disconnect(&mut self, id: ConnectionId, now: u64);
    fn connection_count(&self) -> usize;

    /// Does the work that is due, and gives messages to waiting consumers.
    fn dispatch(&mut self, now: u64);
    /// Connections that have had something to do since the last call.
    fn take_woken(&mut self) -> impl IntoIterator<Item = ConnectionId>;

    /// Sets how many deliveries a receiving link may be given.
    fn set_credit(&mut self, link: LinkId, credit: u32);
    /// Takes away the remaining credit of a receiving link that has received all available
    /// messages; `None` if there are more messages to give it first.
    fn drain(&mut self, link: LinkId) -> Option<u32>;
    /// The number of messages that could be given to a receiving link.
    fn available(&mut self, link: LinkId) -> u32;

    /// `None` if there is no such queue.
    fn queue_counts(&self, queue: &str) -> Option<QueueCounts>;
    /// Sorted.
    fn queue_names(&self) -> Vec<String>;

    /// Adds faults, one per line. The error says which line is wrong; no fault is added then.
    fn inject(&mut self, _faults: &str) -> Result<(), String> {
        Err("this dialect has no faults".to_owned())
    }

    /// As [`Model::inject`], but replaces the pending faults.
    fn replace_faults(&mut self, faults: &str) -> Result<(), String> {
        self.inject(faults)
    }

    /// The number of faults that were added and have not happened yet.
    fn pending_faults(&self) -> usize {
        0
    }
}

/// Counts of a queue's messages and consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueCounts {
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Scheduled messages, and messages whose redelivery is delayed.
    pub delayed: u64,
    /// Messages that consumers hold and have not settled.
    pub unsettled: u64,
    /// Attached consumers.
    pub consumers: u32,
}
