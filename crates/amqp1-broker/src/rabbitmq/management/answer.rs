//! The answer to a request.

use serde_amqp::Value;

/// An HTTP status code and the body of the amqp-value section. Errors contain a sentence.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self { status, body }
    }

    pub(super) fn no_content() -> Self {
        Self::new(204, Value::Null)
    }

    pub(super) fn error(status: u16, sentence: impl Into<String>) -> Self {
        Self::new(status, Value::String(sentence.into()))
    }

    pub(super) fn not_found(what: &str, name: &str) -> Self {
        Self::error(404, format!("no {what} '{name}'"))
    }
}
