//! Requests to `$cbs` and `<entity>/$management`.

mod cbs;
mod locks;
mod messages;
mod request;
mod rules;
mod sessions;

use fe2o3_amqp_types::definitions::Error;
use serde_amqp::primitives::OrderedMap;
use serde_amqp::Value;

use super::address::Address;
use super::facts::condition;
use super::model::errors;
use super::model::namespace::{NodeId, Use};
use super::model::queue::Queue;
use super::sas::Claim;
use super::shared::{Shared, State};
pub(crate) use request::{Fields, Request};

/// Who asks, and when.
pub(crate) struct Caller<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) now: u64,
}

/// An answer: status, and the body's amqp-value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: i32,
    pub(crate) description: String,
    /// The error's condition.
    pub(crate) condition: Option<String>,
    pub(crate) body: Box<Value>,
    /// `$cbs` spells its fields otherwise.
    is_cbs: bool,
}

impl Answer {
    fn ok(body: Value) -> Self {
        Self::with(200, "OK", body)
    }

    fn with(status: i32, description: &str, body: Value) -> Self {
        Self {
            status,
            description: description.to_owned(),
            condition: None,
            body: Box::new(body),
            is_cbs: false,
        }
    }

    /// An answer with an error.
    pub(crate) fn failed(status: i32, condition: &str, description: impl Into<String>) -> Self {
        Self {
            status,
            description: description.into(),
            condition: Some(condition.to_owned()),
            body: Box::new(Value::Null),
            is_cbs: false,
        }
    }

    /// The answer with an error of the protocol.
    pub(crate) fn refused(error: Error, address: &Address) -> Self {
        let condition = errors::name(&error);
        let status = match condition.as_str() {
            condition::SERVER_BUSY => 503,
            condition::TIMEOUT => 408,
            condition::MESSAGE_LOCK_LOST | condition::SESSION_LOCK_LOST => 410,
            condition::MESSAGE_NOT_FOUND | "amqp:not-found" => 404,
            condition::ARGUMENT_ERROR | "amqp:decode-error" => 400,
            "amqp:unauthorized-access" => 401,
            "amqp:resource-limit-exceeded" | "amqp:not-allowed" => 403,
            _ => 500,
        };
        let text = error.description.unwrap_or_default();
        Self {
            is_cbs: *address == Address::Cbs,
            ..Self::failed(status, &condition, text)
        }
    }

    /// The encoded message that answers a request, or seems to answer another.
    pub(crate) fn encode(&self, request: &Request, is_misrouted: bool) -> Vec<u8> {
        request::encode(self, request, is_misrouted)
    }
}

/// What a failed operation is answered with.
type Outcome = Result<Answer, Answer>;

/// Carries a request out. The error is for a request that is none.
pub(crate) fn answer(
    address: &Address,
    request: &Request,
    caller: &Caller<'_>,
    state: &mut State,
) -> Result<(Answer, Option<Claim>), Error> {
    match address {
        Address::Cbs => Ok(cbs::put_token(request, caller, &state.namespace)),
        Address::Management(path) => {
            let node = state.namespace.resolve(path, Use::Manage)?;
            let answer = operate(node, request, caller, state);
            Ok((answer.unwrap_or_else(|refusal| refusal), None))
        }
        _ => Err(errors::not_allowed("this node takes no requests")),
    }
}

fn operate(node: NodeId, request: &Request, caller: &Caller<'_>, state: &mut State) -> Outcome {
    let name = request.operation();
    let fields = &request.body;
    let now = caller.now;
    let namespace = &mut state.namespace;
    match name {
        "renew-lock" => locks::renew(namespace, node, fields, now),
        "update-disposition" => locks::update_disposition(namespace, node, fields),
        "peek-message" => messages::peek(namespace, node, fields),
        "schedule-message" => messages::schedule(namespace, node, fields, now),
        "cancel-scheduled-message" => messages::cancel(namespace, node, fields),
        "receive-by-sequence-number" => messages::receive(namespace, node, fields, now),
        "renew-session-lock" => sessions::renew(namespace, node, fields, now),
        "get-session-state" => sessions::get_state(namespace, node, fields),
        "set-session-state" => sessions::set_state(namespace, node, fields, now),
        "get-message-sessions" => sessions::list(namespace, node, fields),
        "enumerate-rules" => rules::enumerate(namespace, node, fields),
        "add-rule" => rules::add(namespace, node, fields),
        "remove-rule" => rules::remove(namespace, node, fields),
        _ => Err(Answer::failed(
            501,
            "amqp:not-implemented",
            format!("The operation '{name}' is not supported."),
        )),
    }
}

/// Takes the locks away that a request names.
pub(crate) fn lose_locks(queue: &mut Queue, request: &Request) {
    for token in locks::tokens(&request.body).unwrap_or_default() {
        queue.lose(token);
    }
    if let Some(session) = request.body.text("session-id") {
        queue.lose_session(session);
    }
}

/// A map with string keys.
fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let mut map: OrderedMap<Value, Value> = OrderedMap::new();
    for (key, value) in entries {
        map.insert(Value::from(key), value);
    }
    Value::Map(map)
}

/// Status 404 for an entity that is none any more.
fn gone() -> Answer {
    Answer::failed(
        404,
        "amqp:not-found",
        "The messaging entity could not be found.",
    )
}
