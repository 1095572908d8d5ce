//! Receives messages that were set aside, by their sequence numbers.

use bytes::Bytes;

use super::locks::{to_uuid, LockToken};
use super::request::{find, Reply, Request};
use crate::base::wait::Wait;
use crate::error::{Error, ErrorKind};
use crate::wire::read::Value;
use crate::wire::write;

/// The service locks the messages for the receiver, instead of deleting them.
const PEEK_LOCK: u32 = 1;

/// The request. `session` is empty without one.
pub(super) fn receive(numbers: &[i64], session: &str, link: &str, wait: &Wait<'_>) -> Request {
    let entries = |out: &mut Vec<u8>| {
        write::string(out, "sequence-numbers");
        write::long_array(out, numbers);
        write::string(out, "receiver-settle-mode");
        write::uint(out, PEEK_LOCK);
        if session.is_empty() {
            return 4;
        }
        write::string(out, "session-id");
        write::string(out, session);
        6
    };
    Request::operation(
        "receive-by-sequence-number",
        Some(link),
        wait.left(),
        entries,
    )
}

/// The messages in the answer, with their locks.
pub(super) fn messages(reply: &Reply) -> Vec<(LockToken, Bytes)> {
    reply.items("messages", |value| {
        let Value::Map(entries) = value else {
            return None;
        };
        let token = match find(&mut entries.clone(), "lock-token")? {
            // The byte order of the reverse direction is the same.
            Value::Uuid(uuid) => to_uuid(&uuid),
            _ => return None,
        };
        match find(&mut entries.clone(), "message")? {
            Value::Binary(message) => Some((token, Bytes::copy_from_slice(message))),
            _ => None,
        }
    })
}

/// The error if one of the messages is not there. The service has one condition for this and for a
/// lost lock.
pub(super) fn missing(numbers: &[i64], error: Error) -> Error {
    if error.kind() != ErrorKind::TaskLost {
        return error;
    }
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    Error::rejected(format!(
        "no job was received, because not each of the sequence numbers {} is that of a deferred job that is still there and that no other worker holds: {}",
        numbers.join(", "),
        error.message()
    ))
}
