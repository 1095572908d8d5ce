//! The dialect of Azure Service Bus: a namespace with queues, topics and subscriptions, as
//! Microsoft's SDKs expect it.
//!
//! `model` is the namespace as plain data, `connection` the protocol, `management` the operations
//! of `$management` and `$cbs`; `facts` has what the service decides.

mod address;
pub mod arguments;
mod config;
mod connection;
mod facts;
mod faults;
mod lenient;
mod management;
mod model;
mod sas;
pub mod settings;
mod state;

pub use settings::ServiceBus;
