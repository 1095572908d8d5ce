//! A job's way out: where it goes, how it is sent, and what became of it.

pub mod batch;
pub(crate) mod publisher;
pub(crate) mod route;
