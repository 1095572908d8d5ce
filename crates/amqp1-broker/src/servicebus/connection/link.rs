//! What this dialect's links have beside what AMQP gives them.

use crate::servicebus::address::Address;
use crate::servicebus::model::namespace::NodeId;

/// What any link has.
#[derive(Debug)]
pub(crate) struct OfLink {
    /// What it is attached to.
    pub(super) address: Address,
    /// When something last moved on it, Unix milliseconds.
    pub(super) active_at: u64,
}

/// What a link whose peer sends has.
#[derive(Debug)]
pub(crate) struct OfIncoming {
    /// The entity; `None`: one of the broker's own nodes.
    pub(super) node: Option<NodeId>,
    /// No more credit until then, Unix milliseconds.
    pub(super) withheld_until: u64,
    /// The delivery that comes in is larger than a message may be: the rest of it is passed over.
    pub(super) is_too_large: bool,
}

/// What a link whose peer receives has.
#[derive(Debug)]
pub(crate) struct OfOutgoing {
    /// The address of the target, by which requests may name the link for their answer.
    pub(super) reply_to: Option<String>,
    /// The session it has.
    pub(super) session: Option<String>,
}
