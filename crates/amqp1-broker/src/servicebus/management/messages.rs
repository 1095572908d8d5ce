//! Operations by sequence number: peek, schedule, cancel, and receive deferred messages.

use bytes::Bytes;
use serde_amqp::primitives::{Array, Uuid};
use serde_amqp::Value;
use serde_bytes::ByteBuf;

use super::answer::{gone, map, Answer, Answered};
use super::request::{bad, Fields};
use super::sessions;
use crate::servicebus::address::Address;
use crate::servicebus::facts::condition;
use crate::servicebus::model::message::Message;
use crate::servicebus::model::namespace::{Namespace, NodeId};

pub(super) fn peek(namespace: &mut Namespace, node: NodeId, fields: &Fields) -> Answered {
    let from = fields.integer("from-sequence-number")?;
    let count = fields.integer("message-count")?;
    let count = usize::try_from(count).map_err(|_| bad("message-count"))?;
    let queue = &namespace.node(node).ok_or_else(gone)?.queue;
    let messages = queue.peek(from, count, fields.text("session-id"));
    if messages.is_empty() {
        return Ok(Answer::with(204, "No messages.", map([])));
    }
    let messages = messages.into_iter().map(|m| map([("message", binary(m))]));
    let messages = Value::List(messages.collect());
    Ok(Answer::ok(map([("messages", messages)])))
}

pub(super) fn schedule(
    namespace: &mut Namespace,
    node: NodeId,
    fields: &Fields,
    now: u64,
) -> Answered {
    let mut messages = Vec::new();
    for element in fields.elements("messages")? {
        let element = Fields(element);
        let Some(Value::Binary(encoded)) = element.get("message") else {
            return Err(bad("message"));
        };
        let message = Message::parse(&Bytes::copy_from_slice(encoded));
        messages.push(message.map_err(|e| Answer::failed(400, condition::DECODE_ERROR, e.0))?);
    }
    let sequences = namespace
        .schedule(node, messages, now)
        .map_err(|e| Answer::refused(e, &Address::Management(String::new())))?;
    let sequences = sequences.into_iter().map(Value::Long).collect::<Vec<_>>();
    let sequences = Value::Array(Array::from(sequences));
    Ok(Answer::ok(map([("sequence-numbers", sequences)])))
}

pub(super) fn cancel(namespace: &mut Namespace, node: NodeId, fields: &Fields) -> Answered {
    let queue = namespace.queue_mut(node).ok_or_else(gone)?;
    for sequence in fields.integers("sequence-numbers")? {
        if !queue.cancel(sequence) {
            return Err(not_found(sequence));
        }
    }
    Ok(Answer::ok(map([])))
}

pub(super) fn receive(
    namespace: &mut Namespace,
    node: NodeId,
    fields: &Fields,
    now: u64,
) -> Answered {
    let sequences = fields.integers("sequence-numbers")?;
    let deletes = fields.integer("receiver-settle-mode")? == 0;
    let session = fields.text("session-id");
    let queue = namespace.queue_mut(node).ok_or_else(gone)?;
    if queue.settings.requires_session {
        // Go's SDK names no session; then it is the message's own.
        let of_messages = sequences.iter().filter_map(|s| queue.session_of(*s));
        for id in session.into_iter().chain(of_messages) {
            let held = queue.sessions.get(id).filter(|held| held.lock.is_some());
            held.ok_or_else(|| sessions::lost(id))?;
        }
    }
    let received = queue.receive_deferred(&sequences, deletes, session, now);
    let received = received.map_err(not_found)?;
    let received = received.into_iter().map(|(token, message)| {
        map([
            ("lock-token", Value::Uuid(Uuid::from(token.0))),
            ("message", binary(message)),
        ])
    });
    let received = Value::List(received.collect());
    Ok(Answer::ok(map([("messages", received)])))
}

fn binary(bytes: Vec<u8>) -> Value {
    Value::Binary(ByteBuf::from(bytes))
}

fn not_found(sequence: i64) -> Answer {
    let text = format!("Failed to lock one or more specified messages. The message with sequence number {sequence} does not exist.");
    Answer::failed(404, condition::MESSAGE_NOT_FOUND, text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::servicebus::model::namespace::Use;
    use crate::servicebus::settings::{QueueSettings, ServiceBus};

    #[test]
    fn deferred_messages_of_a_session_need_its_lock() {
        let mut settings = ServiceBus::strict();
        let queue = QueueSettings {
            requires_session: true,
            ..QueueSettings::default()
        };
        settings.queues = vec![("q".into(), queue)];
        let mut namespace = Namespace::new(&settings);
        let node = namespace.resolve("q", Use::Manage).unwrap();
        let request = Fields(map([
            ("sequence-numbers", Value::List(vec![Value::Long(1)])),
            ("receiver-settle-mode", Value::Uint(1)),
            ("session-id", Value::from("s")),
        ]));
        let refused = receive(&mut namespace, node, &request, 0).unwrap_err();
        assert_eq!(
            refused.condition.as_deref(),
            Some(condition::SESSION_LOCK_LOST)
        );
    }
}
