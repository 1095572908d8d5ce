//! How a broker gives a client an address for replies to its requests.

use crate::connection::Dynamic;

/// The way to an address for replies. Nodes that are made for it go away with their link or
/// connection, so that nothing stays behind when a requester dies.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Replies {
    /// The broker makes the node, with its address.
    Dynamic(Dynamic),
    /// A queue that is declared for the connection only.
    Exclusive,
    /// A session of a queue that the application names.
    Session,
    /// None, with advice.
    None(&'static str),
}

impl Replies {
    /// As AMQP 1.0 alone offers it (3.5.3).
    pub const STANDARD: Self = Self::Dynamic(Dynamic {
        capability: None,
        settled: false,
    });
}
