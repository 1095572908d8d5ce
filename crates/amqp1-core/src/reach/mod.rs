//! A queue's way to its broker: the pooled connection, what is declared over it, its senders.

pub(crate) mod connected;
pub(crate) mod definition;
pub(crate) mod destination;
pub(crate) mod pool;
