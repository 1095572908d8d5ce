//! Receives jobs: from a receiver link to a worker, and to the job's outcome. Names no broker; for
//! copies it uses `publish`.

pub(crate) mod attachment;
mod claim;
pub mod consumer;
pub(crate) mod deferred;
pub mod delivery;
pub(crate) mod pace;
pub mod peeked;
pub(crate) mod pull;
pub mod replies;
pub(crate) mod sorting;
