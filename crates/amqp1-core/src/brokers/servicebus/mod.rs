//! Azure Service Bus: what it has beyond AMQP 1.0, and its own ways to do things.

mod administration;
mod batch_message;
pub(crate) mod companion;
pub(crate) mod constants;
pub(crate) mod entity;
mod facts;
pub(crate) mod locks;
mod refusal;
mod renewal;
mod request;
mod sas;
pub(crate) mod session_claim;
pub(crate) mod session_state;
pub(crate) mod settle;

pub(super) use facts::ServiceBus;
