//! A job's way in: from a receiver link to a worker's hands, and its end.

pub mod consumer;
pub mod delivery;
pub(crate) mod intake;
pub(crate) mod pull;
pub(crate) mod source;
