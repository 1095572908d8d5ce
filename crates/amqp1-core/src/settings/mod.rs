//! The settings that a user may write (options, DSN, retry policy), and their checks. Names neither
//! connections nor the brokers' wings.

pub mod access;
mod connection_string;
mod declaring;
pub mod endpoint;
pub mod input;
pub mod options;
pub mod place;
mod property_options;
pub mod retry;
pub(crate) mod shared_endpoint;
pub(crate) mod spec;
pub mod suggest;
pub(crate) mod tls_options;
pub mod token;
pub mod topology_options;
