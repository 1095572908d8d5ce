//! What a peer is told that breaks the protocol's rules, in the same words by every dialect.

use fe2o3_amqp_types::definitions::{AmqpError, Error, LinkError, SessionError};

use crate::model::errors::error;

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

/// The broker's own fault.
pub(crate) fn not_encoded(e: &serde_amqp::Error) -> Error {
    let text = format!("a frame was not encoded: {e}");
    error(AmqpError::InternalError, text)
}
