//! Shows messages without handing them out. RabbitMQ's management over AMQP 1.0 cannot; the broker
//! in `crates/amqp1-broker` has a request of its own for it.

use bytes::Bytes;

use super::management::Response;
use super::topology::queue_path;
use crate::brokers::seams::peek::{PeekedMessage, PeekedState};
use crate::wire::read::Value;

/// The resource with a queue's messages from a number on.
pub(super) fn path(queue: &str, from: i64, count: u32) -> String {
    format!("{}/messages?from={from}&count={count}", queue_path(queue))
}

/// The messages in the answer.
pub(super) fn messages(answer: &Response) -> Vec<PeekedMessage> {
    answer.items(|item| {
        let Value::Map(mut entries) = item else {
            return None;
        };
        let (mut number, mut state, mut bytes) = (None, PeekedState::Active, None);
        while let Ok(Some((key, value))) = entries.entry() {
            match (key.as_text(), value) {
                (Some("number"), value) => number = value.as_int(),
                (Some("state"), value) if value.as_text() == Some("scheduled") => {
                    state = PeekedState::Scheduled;
                }
                (Some("message"), Value::Binary(message)) => {
                    bytes = Some(Bytes::copy_from_slice(message));
                }
                _ => {}
            }
        }
        Some(PeekedMessage {
            number: number?,
            state,
            bytes: bytes?,
        })
    })
}
