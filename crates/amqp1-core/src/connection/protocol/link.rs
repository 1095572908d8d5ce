//! The common parts of both kinds of link: the state, the handle, the attach.

use fe2o3_amqp_types::definitions::{Handle, ReceiverSettleMode, Role, SenderSettleMode};
use fe2o3_amqp_types::messaging::{Source, Target, TargetArchetype};
use fe2o3_amqp_types::performatives::Attach;

use crate::error::Error;
use crate::wire::DecodeError;

/// The handle of a session's sender.
pub(crate) const SENDER: u32 = 0;

/// The handle of a session's receiver.
pub(crate) const RECEIVER: u32 = 1;

/// The error for a frame of a link that there is not.
pub(super) const UNKNOWN_LINK: DecodeError = DecodeError("a frame for a link that does not exist");

/// The largest accepted message, in bytes.
pub(crate) const MAX_MESSAGE_SIZE: u64 = 512 * 1024 * 1024;

/// The state of a link, between its two attaches and its two detaches.
///
/// ```text
/// Attaching ──(the broker's attach, unless it refuses)──▶ Attached ──▶ Detached
///     └───────────────────────────────────────────────────────────────────▲
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Our attach is sent.
    Attaching,
    /// Both attaches have been exchanged.
    Attached,
    /// The link has ended, for this reason.
    Detached(Error),
}

impl Phase {
    /// The error that ended the link, if it has ended.
    pub fn over(&self) -> Option<&Error> {
        match self {
            Phase::Detached(error) => Some(error),
            Phase::Attaching | Phase::Attached => None,
        }
    }
}

/// Our attach of a link with this role.
pub(crate) fn attach(name: &str, role: Role, source: Source, target: Target) -> Attach {
    let sender = role == Role::Sender;
    Attach {
        name: name.to_owned(),
        handle: Handle(if sender { SENDER } else { RECEIVER }),
        role,
        snd_settle_mode: SenderSettleMode::Mixed,
        rcv_settle_mode: ReceiverSettleMode::First,
        source: Some(Box::new(source)),
        target: Some(Box::new(TargetArchetype::Target(target))),
        unsettled: None,
        incomplete_unsettled: false,
        initial_delivery_count: sender.then_some(0),
        max_message_size: (!sender).then_some(MAX_MESSAGE_SIZE),
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    }
}

pub(crate) fn source(address: &str) -> Source {
    Source {
        address: Some(address.to_owned()),
        ..Source::default()
    }
}

pub(crate) fn target(address: Option<&str>) -> Target {
    Target {
        address: address.map(str::to_owned),
        ..Target::default()
    }
}
