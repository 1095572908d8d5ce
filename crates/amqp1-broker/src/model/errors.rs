//! AMQP errors (AMQP 1.0 section 2.8.14) with every field set.
//!
//! Some clients cannot read an error whose trailing fields are missing: azure-servicebus for Python
//! hangs on a `rejected` whose error has no info.

use fe2o3_amqp_types::definitions::{AmqpError, Error, ErrorCondition, Fields};

/// An error with this condition and description, and an empty info map.
pub(crate) fn error(condition: impl Into<ErrorCondition>, description: impl Into<String>) -> Error {
    Error::new(condition, description.into(), Fields::new())
}

/// `amqp:not-found`
pub(crate) fn not_found(what: &str, name: &str) -> Error {
    error(AmqpError::NotFound, format!("no {what} '{name}'"))
}

/// `amqp:invalid-field`
pub(crate) fn invalid_field(description: impl Into<String>) -> Error {
    error(AmqpError::InvalidField, description)
}

/// `amqp:precondition-failed`
pub(crate) fn precondition_failed(description: impl Into<String>) -> Error {
    error(AmqpError::PreconditionFailed, description)
}
