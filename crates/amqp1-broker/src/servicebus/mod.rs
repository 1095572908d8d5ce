//! The dialect of Azure Service Bus: a namespace with queues, topics and subscriptions, as
//! Microsoft's SDKs expect it. It does not know the other dialect.
//!
//! It implements Microsoft's documentation and is tested with Microsoft's SDKs, not with this
//! project's client. The client is an independent reading of the service, and this dialect tests it
//! in turn.
//!
//! `model` is the namespace as plain data, `connection` the protocol, `management` the operations
//! of `$management` and `$cbs`; `facts` defines the service's own names and numbers.

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
