//! AMQP 1.0 on the wire: values, messages, frames. No I/O, no policy.
//!
//! Performatives that are exchanged once a link go through fe2o3-amqp's codec
//! and types. What is exchanged once a job (transfer, disposition, the
//! message's sections) is written and read here by hand: through serde the
//! same costs 2–3 µs a message, by hand a tenth of it.

pub mod frame;
pub mod guard;
pub mod message;
pub mod read;
pub mod state;
pub mod write;

/// Bytes that are not what AMQP says they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError(pub &'static str);

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "malformed AMQP data: {}", self.0)
    }
}

impl std::error::Error for DecodeError {}
