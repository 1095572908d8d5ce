//! How a job looks on the wire.

pub(crate) mod body;
pub(crate) mod roadrunner;

use std::cell::OnceCell;

use bytes::Bytes;

use crate::wire::message::Message;

/// A job's name when its message has none.
pub const DEDUCED: &str = "deduced_by_rr";

/// A job read from a message; headers are read when they are asked for.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub message: Message,
    pub id: String,
    pub name: String,
    /// As its producer named it.
    pub pipeline: Option<String>,
    pub body: Bytes,
    pub json: bool,
    pub trace_id: Option<String>,
    pub group: Option<String>,
    pub priority: Option<i64>,
    /// Seconds.
    pub delay: f64,
    pub auto_ack: bool,
    pub durable: bool,
    /// Deliveries before this one.
    pub earlier_attempts: u32,
    /// Unix milliseconds.
    pub expires_at: Option<i64>,
    pub headers: OnceCell<Headers>,
}

/// Names and values in order; each name has at least one value.
pub(crate) type Headers = Vec<(String, Vec<String>)>;
