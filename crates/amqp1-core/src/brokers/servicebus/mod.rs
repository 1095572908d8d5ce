//! Azure Service Bus: its extensions to AMQP 1.0, and its own ways of doing things. Names no other
//! broker.

mod administration;
mod batch_message;
mod companion;
mod constants;
mod deferred;
mod entity;
mod facts;
mod holding;
mod locks;
mod peek;
mod refusal;
mod renewal;
mod request;
mod sas;
mod session_state;
mod settle;

pub(super) use facts::ServiceBus;
