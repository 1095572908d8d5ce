//! Sessions: their locks and their state.

use serde_amqp::Value;
use serde_bytes::ByteBuf;

use super::request::bad;
use super::{gone, map, Answer, Fields, Outcome};
use crate::servicebus::facts::condition;
use crate::servicebus::model::entry::timestamp;
use crate::servicebus::model::namespace::{Namespace, NodeId};
use crate::servicebus::model::queue::Lost;

pub(super) fn renew(namespace: &mut Namespace, node: NodeId, fields: &Fields, now: u64) -> Outcome {
    let id = id(fields)?;
    let queue = namespace.queue_mut(node).ok_or_else(gone)?;
    let until = queue.renew_session(id, now).map_err(|Lost| lost(id))?;
    Ok(Answer::ok(map([("expiration", timestamp(until))])))
}

pub(super) fn get_state(namespace: &mut Namespace, node: NodeId, fields: &Fields) -> Outcome {
    let id = id(fields)?;
    let queue = &namespace.node(node).ok_or_else(gone)?.queue;
    let session = queue.sessions.get(id);
    let locked = session.filter(|session| session.lock.is_some());
    let state = locked.ok_or_else(|| lost(id))?.state.clone();
    let state = state.map_or(Value::Null, |s| Value::Binary(ByteBuf::from(s)));
    Ok(Answer::ok(map([("session-state", state)])))
}

pub(super) fn set_state(namespace: &mut Namespace, node: NodeId, fields: &Fields) -> Outcome {
    let id = id(fields)?;
    let state = match fields.get("session-state") {
        None => None,
        Some(Value::Binary(state)) => Some(state.to_vec()),
        Some(_) => return Err(bad("session-state")),
    };
    let queue = namespace.queue_mut(node).ok_or_else(gone)?;
    let session = queue.sessions.get_mut(id);
    let session = session.filter(|session| session.lock.is_some());
    session.ok_or_else(|| lost(id))?.state = state;
    Ok(Answer::ok(map([])))
}

fn id(fields: &Fields) -> Result<&str, Answer> {
    fields.text("session-id").ok_or_else(|| bad("session-id"))
}

pub(super) fn lost(id: &str) -> Answer {
    let text = format!("The session lock on '{id}' has expired or was lost.");
    Answer::failed(410, condition::SESSION_LOCK_LOST, text)
}
