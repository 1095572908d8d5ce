//! What observers are told: the classes of what they are given, and who calls them when.

pub mod connection;
pub mod copies;
pub mod events;
pub mod functions;
pub mod job;
pub mod log;
pub mod many;
pub mod metrics;
pub mod observer;
pub mod push;
pub mod pushes;
