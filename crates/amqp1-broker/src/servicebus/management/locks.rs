//! Message locks: renews them, and settles messages by lock token.

use serde_amqp::primitives::Array;
use serde_amqp::Value;

use super::answer::{gone, map, Answer, Answered};
use super::request::{bad, Fields};
use crate::servicebus::address::Address;
use crate::servicebus::facts::{condition, dead_letter};
use crate::servicebus::model::entry::timestamp;
use crate::servicebus::model::errors;
use crate::servicebus::model::namespace::{Namespace, NodeId};
use crate::servicebus::model::queue::{Lost, Modifications};
use crate::servicebus::model::token::LockToken;

pub(super) fn renew(
    namespace: &mut Namespace,
    node: NodeId,
    fields: &Fields,
    now: u64,
) -> Answered {
    let queue = namespace.queue_mut(node).ok_or_else(gone)?;
    let mut expirations = Vec::new();
    for token in tokens(fields)? {
        let until = queue.renew(token, now).map_err(|Lost| lost(false))?;
        expirations.push(timestamp(until));
    }
    let expirations = Value::Array(Array::from(expirations));
    Ok(Answer::ok(map([("expirations", expirations)])))
}

pub(super) fn update_disposition(
    namespace: &mut Namespace,
    node: NodeId,
    fields: &Fields,
) -> Answered {
    let queue = namespace.queue_mut(node).ok_or_else(gone)?;
    let status = fields.text("disposition-status");
    let status = status.ok_or_else(|| bad("disposition-status"))?.to_owned();
    let with = modifications(fields);
    let by_session = queue.settings.requires_session;
    for token in tokens(fields)? {
        let with = with.clone();
        let settled = match status.as_str() {
            "completed" => queue.complete(token),
            "abandoned" => queue.abandon(token, with),
            "defered" => queue.defer(token, with),
            "suspended" if queue.is_dead_letters => return Err(already_dead()),
            "suspended" => queue.dead_letter(token, with),
            _ => return Err(bad("disposition-status")),
        };
        settled.map_err(|Lost| lost(by_session))?;
    }
    Ok(Answer::ok(map([])))
}

fn already_dead() -> Answer {
    Answer::refused(errors::already_dead(), &Address::Management(String::new()))
}

fn lost(by_session: bool) -> Answer {
    if by_session {
        Answer::failed(
            410,
            condition::SESSION_LOCK_LOST,
            "The session lock has expired or was lost.",
        )
    } else {
        Answer::failed(
            410,
            condition::MESSAGE_LOCK_LOST,
            "The lock supplied is invalid. Either the lock expired, or the message has already been removed from the queue.",
        )
    }
}

pub(super) fn tokens(fields: &Fields) -> Result<Vec<LockToken>, Answer> {
    let elements = fields.elements("lock-tokens")?;
    let read = elements.into_iter().map(|value| match value {
        Value::Uuid(uuid) => Ok(LockToken(uuid.into_inner())),
        _ => Err(bad("lock-tokens")),
    });
    read.collect()
}

fn modifications(fields: &Fields) -> Modifications {
    let mut with: Modifications = Vec::new();
    if let Some(Value::Map(map)) = fields.get("properties-to-modify") {
        for (key, value) in map {
            if let Value::String(key) = key {
                with.push((key.clone(), value.clone()));
            }
        }
    }
    for (field, property) in [
        ("deadletter-reason", dead_letter::REASON),
        ("deadletter-description", dead_letter::DESCRIPTION),
    ] {
        if let Some(text) = fields.text(field) {
            with.push((property.to_owned(), Value::from(text)));
        }
    }
    with
}
