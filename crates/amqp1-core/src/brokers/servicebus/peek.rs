//! Shows messages without receiving them: `peek-message`.

use bytes::Bytes;

use super::constants::{MESSAGE_STATE, SEQUENCE_NUMBER};
use super::request::{find, Reply, Request};
use crate::base::wait::Wait;
use crate::brokers::seams::peek::{PeekedMessage, PeekedState};
use crate::wire::message::Message;
use crate::wire::read::Value;
use crate::wire::write;

/// The request for messages from a number on, in any state.
pub(super) fn request(from: i64, count: u32, wait: &Wait<'_>) -> Request {
    Request::operation("peek-message", None, wait.left(), |out| {
        write::string(out, "from-sequence-number");
        write::long(out, from);
        write::string(out, "message-count");
        write::int(out, i32::try_from(count).unwrap_or(i32::MAX));
        4
    })
}

/// The messages in the answer.
pub(super) fn messages(reply: &Reply) -> Vec<PeekedMessage> {
    reply.items("messages", |value| {
        let Value::Map(mut entries) = value else {
            return None;
        };
        match find(&mut entries, "message")? {
            Value::Binary(bytes) => message(Bytes::copy_from_slice(bytes)),
            _ => None,
        }
    })
}

/// A message with its state and its number, which are annotations.
fn message(bytes: Bytes) -> Option<PeekedMessage> {
    let parsed = Message::parse(bytes.clone()).ok()?;
    let (mut state, mut number) = (PeekedState::Active, None);
    let mut items = parsed.annotations().ok()??;
    while let Ok(Some((key, value))) = items.entry() {
        match key.as_text() {
            Some(MESSAGE_STATE) => {
                state = match value.as_int() {
                    Some(1) => PeekedState::Deferred,
                    Some(2) => PeekedState::Scheduled,
                    _ => PeekedState::Active,
                }
            }
            Some(SEQUENCE_NUMBER) => number = value.as_int(),
            _ => {}
        }
    }
    Some(PeekedMessage {
        number: number?,
        state,
        bytes,
    })
}
