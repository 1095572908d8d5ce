//! Sends jobs: chooses the route, sends, and collects the outcomes. Names no broker and does not
//! know `receive`.

pub mod batch;
pub(crate) mod observed;
pub(crate) mod publisher;
pub(crate) mod route;
