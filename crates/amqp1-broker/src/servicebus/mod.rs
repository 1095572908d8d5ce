//! The dialect of Azure Service Bus: a namespace with queues, topics and subscriptions, as
//! Microsoft's SDKs expect it.
//!
//! It is read from Microsoft's documentation and judged by its SDKs, not by this project's client,
//! whose own reading of the service it judges in turn.
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
mod service;
pub mod settings;

pub use settings::ServiceBus;
