//! The model's errors.

use fe2o3_amqp_types::definitions::{AmqpError, Error};

pub(crate) use crate::amqp::errors::error;

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
