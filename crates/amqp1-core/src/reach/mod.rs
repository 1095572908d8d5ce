//! A queue's way to its broker: the pooled connection, what is declared over it, its senders.

pub(crate) mod destination;
pub(crate) mod live;
pub(crate) mod pool;
