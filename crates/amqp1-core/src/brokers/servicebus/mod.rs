//! Azure Service Bus: what it has beyond AMQP 1.0, and its own ways to do things.

pub(crate) mod batch;
pub(crate) mod client;
pub(crate) mod constants;
pub(crate) mod entity;
pub(super) mod facts;
mod keeper;
pub(crate) mod locks;
pub(crate) mod operations;
pub(crate) mod refusal;
pub(crate) mod request;
pub(crate) mod sas;
pub(crate) mod session;
pub(crate) mod settle;
pub(crate) mod turn;
