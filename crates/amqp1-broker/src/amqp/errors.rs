//! AMQP errors (AMQP 1.0 section 2.8.14) with every field set, and the errors for peers that break
//! the protocol, worded the same in every dialect.
//!
//! Some clients cannot read an error without its trailing fields: azure-servicebus for Python hangs
//! on a `rejected` whose error has no info.

use fe2o3_amqp_types::definitions::{
    AmqpError, ConnectionError, Error, ErrorCondition, Fields, LinkError, SessionError,
};
use serde_amqp::Value;

use crate::wire::frame::FrameError;

/// An error with this condition and description, and an empty info map.
pub(crate) fn error(condition: impl Into<ErrorCondition>, description: impl Into<String>) -> Error {
    Error::new(condition, description.into(), Fields::new())
}

/// The bytes are not a valid frame.
pub(crate) fn malformed(e: FrameError) -> Error {
    match e {
        FrameError::Framing(what) => error(ConnectionError::FramingError, what),
        FrameError::Decode(what) => error(AmqpError::DecodeError, what),
    }
}

pub(crate) fn no_open() -> Error {
    error(AmqpError::IllegalState, "the first frame is not an open")
}

pub(crate) fn second_open() -> Error {
    error(AmqpError::IllegalState, "a second open")
}

pub(crate) fn beyond_channel_max(channel: u16) -> Error {
    let text = format!("channel {channel} is beyond channel-max");
    error(ConnectionError::FramingError, text)
}

pub(crate) fn channel_in_use(channel: u16) -> Error {
    let text = format!("channel {channel} has a session already");
    error(AmqpError::NotAllowed, text)
}

pub(crate) fn no_session(channel: u16) -> Error {
    let text = format!("channel {channel} has no session");
    error(AmqpError::NotAllowed, text)
}

pub(crate) fn window_violation() -> Error {
    error(
        SessionError::WindowViolation,
        "a transfer was sent beyond the session's incoming window",
    )
}

pub(crate) fn handle_in_use(handle: u32) -> Error {
    let text = format!("handle {handle} is in use");
    error(SessionError::HandleInUse, text)
}

/// A frame for a handle that has no link.
pub(crate) fn unattached(handle: u32) -> Error {
    let text = format!("no link has handle {handle}");
    error(SessionError::UnattachedHandle, text)
}

pub(crate) fn not_a_sender() -> Error {
    error(AmqpError::NotAllowed, "a transfer on a receiver's link")
}

pub(crate) fn no_delivery_id() -> Error {
    error(
        AmqpError::InvalidField,
        "a delivery begins without a delivery-id",
    )
}

pub(crate) fn no_credit() -> Error {
    error(
        LinkError::TransferLimitExceeded,
        "a delivery was sent without link credit",
    )
}

/// A link uses an unknown type.
pub(crate) fn not_known(what: &str) -> Error {
    let text = format!("{what} is not supported");
    error(AmqpError::NotImplemented, text)
}

/// The broker failed to encode a frame.
pub(crate) fn not_encoded(e: &serde_amqp::Error) -> Error {
    let text = format!("a frame was not encoded: {e}");
    error(AmqpError::InternalError, text)
}

/// The condition's symbol.
pub(crate) fn name(error: &Error) -> String {
    match serde_amqp::to_value(&error.condition) {
        Ok(Value::Symbol(name)) => name.0,
        _ => String::new(),
    }
}

/// Condition and description as text for [`Error`](crate::Error).
pub(crate) fn describe(error: &Error) -> String {
    let description = error.description.as_deref().unwrap_or_default();
    format!("{}: {description}", name(error))
}
