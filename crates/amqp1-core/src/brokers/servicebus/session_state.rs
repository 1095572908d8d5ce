//! A consumer's session: its id and its state.

use fe2o3_amqp_types::performatives::Attach;
use serde_amqp::primitives::Symbol;
use serde_amqp::Value;

use super::constants::{SESSION_FILTER, SESSION_LOCKED_UNTIL};
use super::request::{Reply, Request};
use crate::base::wait::Wait;
use crate::wire::write;

/// The session in the answer to an attach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SessionAnswer {
    pub id: Option<String>,
    /// .NET ticks, in UTC.
    pub locked_until: Option<i64>,
}

/// The granted session, from the answer to the attach: the filter with its id, and the lock's end.
pub(super) fn taken(attach: &Attach) -> Option<SessionAnswer> {
    let filter = attach.source.as_ref()?.filter.as_ref()?;
    let key = Symbol::from(SESSION_FILTER);
    let id = match filter.get(&key)? {
        Value::String(id) => Some(id.clone()),
        Value::Described(described) => match &described.value {
            Value::String(id) => Some(id.clone()),
            _ => None,
        },
        _ => None,
    };
    let properties = attach.properties.as_ref();
    let until = properties.and_then(|map| map.get(&Symbol::from(SESSION_LOCKED_UNTIL)));
    let locked_until = match until {
        Some(Value::Long(ticks)) => Some(*ticks),
        _ => None,
    };
    Some(SessionAnswer { id, locked_until })
}

/// The session's state in an answer.
pub(super) fn state(reply: &Reply) -> Option<Vec<u8>> {
    reply.get("session-state", |value| {
        value.as_octets().map(<[u8]>::to_vec)
    })
}

/// Requests the state of a session.
pub(super) fn get(session: &str, link: &str, wait: &Wait<'_>) -> Request {
    operation("get-session-state", session, link, wait, |_| 0)
}

/// Sets the state of a session; `None` removes it.
pub(super) fn set(state: Option<&[u8]>, session: &str, link: &str, wait: &Wait<'_>) -> Request {
    operation("set-session-state", session, link, wait, |out| {
        write::string(out, "session-state");
        match state {
            Some(bytes) => write::binary(out, bytes),
            None => write::null(out),
        }
        2
    })
}

fn operation(
    name: &str,
    session: &str,
    link: &str,
    wait: &Wait<'_>,
    more: impl Fn(&mut Vec<u8>) -> u32,
) -> Request {
    Request::operation(name, Some(link), wait.left(), |out| {
        write::string(out, "session-id");
        write::string(out, session);
        2 + more(out)
    })
}
