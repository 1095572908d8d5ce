//! A job's way in: from a receiver link to a worker's hands, and its end.

pub(crate) mod attachment;
mod claim;
pub mod consumer;
pub mod delivery;
pub(crate) mod pull;
pub(crate) mod sorting;
