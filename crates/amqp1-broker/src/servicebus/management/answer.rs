//! The answer to a request.

use fe2o3_amqp_types::definitions::Error;
use serde_amqp::primitives::OrderedMap;
use serde_amqp::Value;

use crate::servicebus::address::Address;
use crate::servicebus::facts::condition;
use crate::servicebus::model::errors;

/// The status, and the body's amqp-value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: i32,
    pub(crate) description: String,
    /// The error's condition.
    pub(crate) condition: Option<String>,
    pub(crate) body: Box<Value>,
    /// `$cbs` names its fields differently.
    pub(super) is_cbs: bool,
}

impl Answer {
    pub(super) fn ok(body: Value) -> Self {
        Self::with(200, "OK", body)
    }

    pub(super) fn with(status: i32, description: &str, body: Value) -> Self {
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

    /// An answer with a protocol error.
    pub(crate) fn refused(error: Error, address: &Address) -> Self {
        let condition = errors::name(&error);
        let status = match condition.as_str() {
            condition::SERVER_BUSY => 503,
            condition::TIMEOUT => 408,
            condition::MESSAGE_LOCK_LOST | condition::SESSION_LOCK_LOST => 410,
            condition::MESSAGE_NOT_FOUND | condition::NOT_FOUND => 404,
            condition::ARGUMENT_ERROR | condition::DECODE_ERROR => 400,
            condition::UNAUTHORIZED_ACCESS => 401,
            condition::RESOURCE_LIMIT_EXCEEDED | condition::NOT_ALLOWED => 403,
            _ => 500,
        };
        let text = error.description.unwrap_or_default();
        Self {
            is_cbs: *address == Address::Cbs,
            ..Self::failed(status, &condition, text)
        }
    }
}

/// The result of an operation; the error is its answer.
pub(super) type Answered = Result<Answer, Answer>;

/// A map with string keys.
pub(super) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let mut map: OrderedMap<Value, Value> = OrderedMap::new();
    for (key, value) in entries {
        map.insert(Value::from(key), value);
    }
    Value::Map(map)
}

/// Status 404 for an entity that no longer exists.
pub(super) fn gone() -> Answer {
    Answer::failed(
        404,
        condition::NOT_FOUND,
        "The messaging entity could not be found.",
    )
}
