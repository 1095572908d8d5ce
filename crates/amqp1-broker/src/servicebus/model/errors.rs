//! Errors with the service's conditions and every field set: azure-servicebus for Python hangs on a
//! `rejected` whose error has no info.

use fe2o3_amqp_types::definitions::{AmqpError, Error, ErrorCondition, Fields};
use serde_amqp::primitives::Symbol;

pub(crate) use crate::amqp::errors::name;
use crate::servicebus::facts::condition;

/// An error with a condition by name, which may be the standard's.
pub(crate) fn error(condition: &str, description: impl Into<String>) -> Error {
    let condition = named(condition);
    Error::new(condition, description.into(), Fields::new())
}

fn named(name: &str) -> ErrorCondition {
    // Decoded as if received, so that the standard's names become its variants.
    serde_amqp::to_vec(&Symbol::from(name))
        .ok()
        .and_then(|encoded| serde_amqp::from_slice(&encoded).ok())
        .unwrap_or(ErrorCondition::Custom(Symbol::from(name)))
}

/// `amqp:not-found` for an entity.
pub(crate) fn no_entity(path: &str) -> Error {
    error(
        condition::NOT_FOUND,
        format!("The messaging entity '{path}' could not be found."),
    )
}

pub(crate) fn not_allowed(description: impl Into<String>) -> Error {
    Error::new(AmqpError::NotAllowed, description.into(), Fields::new())
}

/// A dead letter cannot be dead-lettered again.
pub(crate) fn already_dead() -> Error {
    not_allowed(
        "A message of a dead-letter queue cannot be dead-lettered again. Complete or abandon it.",
    )
}

pub(crate) fn unauthorized(description: impl Into<String>) -> Error {
    let description = description.into();
    Error::new(AmqpError::UnauthorizedAccess, description, Fields::new())
}

pub(crate) fn session_lock_lost(session: &str) -> Error {
    error(
        condition::SESSION_LOCK_LOST,
        format!(
            "The session lock on '{session}' has expired or was lost. Accept the session again."
        ),
    )
}

/// A lock is no longer held; for a message in a session, the session's lock.
pub(crate) fn lock_lost(is_session: bool) -> Error {
    if is_session {
        error(
            condition::SESSION_LOCK_LOST,
            "The session lock has expired or was lost. Accept the session again.",
        )
    } else {
        error(
            condition::MESSAGE_LOCK_LOST,
            "The lock supplied is invalid. Either the lock expired, or the message has already been removed from the queue.",
        )
    }
}
