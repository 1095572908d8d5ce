//! Session locks and session state.

use serde_amqp::primitives::Array;
use serde_amqp::Value;
use serde_bytes::ByteBuf;

use super::answer::{gone, map, Answer, Answered};
use super::request::{bad, Fields};
use crate::servicebus::address::Address;
use crate::servicebus::facts::{self, condition};
use crate::servicebus::model::entry::timestamp;
use crate::servicebus::model::errors;
use crate::servicebus::model::namespace::{Namespace, NodeId};
use crate::servicebus::model::queue::Lost;

pub(super) fn renew(
    namespace: &mut Namespace,
    node: NodeId,
    fields: &Fields,
    now: u64,
) -> Answered {
    let id = id(fields)?;
    let queue = namespace.queue_mut(node).ok_or_else(gone)?;
    let until = queue.renew_session(id, now).map_err(|Lost| lost(id))?;
    Ok(Answer::ok(map([("expiration", timestamp(until))])))
}

pub(super) fn get_state(namespace: &mut Namespace, node: NodeId, fields: &Fields) -> Answered {
    let id = id(fields)?;
    let queue = &namespace.node(node).ok_or_else(gone)?.queue;
    let session = queue.sessions.get(id);
    let locked = session.filter(|session| session.lock.is_some());
    let state = locked.ok_or_else(|| lost(id))?.state.clone();
    let state = state.map_or(Value::Null, |s| Value::Binary(ByteBuf::from(s)));
    Ok(Answer::ok(map([("session-state", state)])))
}

pub(super) fn set_state(
    namespace: &mut Namespace,
    node: NodeId,
    fields: &Fields,
    now: u64,
) -> Answered {
    let id = id(fields)?;
    let state = match fields.get("session-state") {
        None => None,
        Some(Value::Binary(state)) => Some(state.to_vec()),
        Some(_) => return Err(bad("session-state")),
    };
    let queue = namespace.queue_mut(node).ok_or_else(gone)?;
    let session = queue.sessions.get_mut(id);
    let session = session.filter(|session| session.lock.is_some());
    let session = session.ok_or_else(|| lost(id))?;
    session.state = state;
    session.state_set_at = now;
    Ok(Answer::ok(map([])))
}

/// The ids of sessions: those that have messages or a state, or those whose state was set since a
/// given time.
pub(super) fn list(namespace: &mut Namespace, node: NodeId, fields: &Fields) -> Answered {
    let since = match fields.get("last-updated-time") {
        Some(Value::Timestamp(at)) => at.milliseconds(),
        _ => return Err(bad("last-updated-time")),
    };
    let skipped = fields.integer("skip")?;
    let skip = usize::try_from(skipped).map_err(|_| bad("skip"))?;
    let top = fields.integer("top")?;
    let top = usize::try_from(top).map_err(|_| bad("top"))?;
    let node = namespace.node(node).ok_or_else(gone)?;
    if !node.queue.settings.requires_session {
        let error = errors::not_allowed(format!("'{}' has no sessions", node.path));
        return Err(Answer::refused(error, &Address::Management(String::new())));
    }
    let since = (since < facts::ALL_SESSIONS).then_some(u64::try_from(since).unwrap_or(0));
    let ids = node.queue.session_ids(since).into_iter();
    let ids: Vec<Value> = ids.skip(skip).take(top).map(Value::String).collect();
    if ids.is_empty() {
        return Ok(Answer::with(204, "No sessions.", map([])));
    }
    let skipped = Value::Int(i32::try_from(skipped).unwrap_or(i32::MAX));
    let ids = Value::Array(Array::from(ids));
    Ok(Answer::ok(map([("skip", skipped), ("sessions-ids", ids)])))
}

fn id(fields: &Fields) -> Result<&str, Answer> {
    fields.text("session-id").ok_or_else(|| bad("session-id"))
}

pub(super) fn lost(id: &str) -> Answer {
    let text = format!("The session lock on '{id}' has expired or was lost.");
    Answer::failed(410, condition::SESSION_LOCK_LOST, text)
}
