//! What a dialect's connections, sessions and links have beside what AMQP gives them.

use std::fmt::Debug;

use super::ids::{ConnectionId, LinkId};

/// What anything of a connection is: it moves with its task.
pub(crate) trait Part: Debug + Send + 'static {}

impl<T: Debug + Send + 'static> Part for T {}

/// A dialect's own parts. Its settings stand for the dialect.
pub(crate) trait Parts: Part + Sync + Sized {
    type Model: Model;
    /// A connection has it beside its sessions.
    type OfConnection: Part;
    /// A session has it beside its links.
    type OfSession: Part + Default;
    type OfLink: Part;
    /// Of a link whose peer sends: where it leads.
    type OfIncoming: Part;
    /// Of a link whose peer receives.
    type OfOutgoing: Part;
    /// The queue from which a link's peer receives.
    type Queue: Part;
    /// Whose message a delivery is that waits to be sent; by default nobody's.
    type Given: Part + Default;
    /// Whose message a delivery is that was sent whole and of which the model is to be told.
    type Sent: Part;
    /// Whose message a delivery is that its receiver has to settle.
    type Unsettled: Part;
    /// What may break beside links, sessions and connections.
    type Fault: Part;

    /// The model as the settings have it to begin with.
    fn model(&self) -> Self::Model;
}

/// Queues, messages and who is attached to them. Plain data: no I/O, no clock; times are Unix
/// milliseconds.
pub(crate) trait Model: Send + 'static {
    fn connect(&mut self) -> ConnectionId;
    /// Forgets a connection, and what it has attached.
    fn disconnect(&mut self, id: ConnectionId, now: u64);
    fn connection_count(&self) -> usize;

    /// Does what is due, and gives messages to those who wait for them.
    fn dispatch(&mut self, now: u64);
    /// Connections that have got something to do since.
    fn take_woken(&mut self) -> impl IntoIterator<Item = ConnectionId>;

    /// How many deliveries a receiving link may be given.
    fn set_credit(&mut self, link: LinkId, credit: u32);
    /// Takes away the credit that is left to a receiving link now that it was given what there is;
    /// `None` while it must be given more first.
    fn drain(&mut self, link: LinkId) -> Option<u32>;
    /// Messages that a receiving link could be given.
    fn available(&mut self, link: LinkId) -> u32;

    /// `None` where there is no such queue.
    fn queue_counts(&self, queue: &str) -> Option<QueueCounts>;
    /// Sorted.
    fn queue_names(&self) -> Vec<String>;

    /// Adds faults, one a line. The error says which line is wrong; nothing is added then.
    fn inject(&mut self, _faults: &str) -> Result<(), String> {
        Err("this dialect has no faults".to_owned())
    }

    /// The same in the place of the faults that wait.
    fn replace_faults(&mut self, faults: &str) -> Result<(), String> {
        self.inject(faults)
    }

    /// Faults that were added and have not happened.
    fn pending_faults(&self) -> usize {
        0
    }
}

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
