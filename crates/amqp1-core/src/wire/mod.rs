//! AMQP 1.0 on the wire: values, messages, frames. No I/O, no policy; names no broker.
//!
//! Performatives that are exchanged once per link use fe2o3-amqp's codec and types. Those exchanged
//! once per job (transfer, disposition, the message's sections) are encoded and decoded here by
//! hand: serde needs 2–3 µs per message, this code a tenth of that.

pub mod credit;
pub mod frame;
pub mod guard;
pub mod length;
pub mod message;
pub mod read;
pub mod state;
pub mod write;

/// Bytes that are not valid AMQP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError(pub &'static str);

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "malformed AMQP data: {}", self.0)
    }
}

impl std::error::Error for DecodeError {}
