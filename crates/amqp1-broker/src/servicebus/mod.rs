//! The dialect of Azure Service Bus: a namespace with queues, topics and subscriptions, as
//! Microsoft's SDKs expect it.
//!
//! `model` is the namespace as plain data, `connection` the protocol, `management` the operations
//! of `$management` and `$cbs`; `facts` has what the service decides.

mod address;
mod config;
mod connection;
mod facts;
mod faults;
mod management;
mod model;
mod sas;
pub mod settings;
pub(crate) mod shared;

use std::time::Duration;

pub(crate) use connection::Connection;
pub use settings::ServiceBus;
pub(crate) use shared::Shared;

/// Whole milliseconds.
fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
