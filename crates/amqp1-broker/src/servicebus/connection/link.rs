//! What the Service Bus dialect adds to AMQP's links.

use crate::servicebus::address::Address;
use crate::servicebus::model::namespace::NodeId;

/// Added to any link.
#[derive(Debug)]
pub(crate) struct OfLink {
    /// The node that it is attached to.
    pub(super) address: Address,
    /// When something last happened on it, in Unix milliseconds.
    pub(super) active_at: u64,
}

/// Added to a link whose peer sends.
#[derive(Debug)]
pub(crate) struct OfIncoming {
    /// The entity; `None` for one of the broker's own nodes.
    pub(super) node: Option<NodeId>,
    /// No more credit until then, in Unix milliseconds.
    pub(super) withheld_until: u64,
    /// The incoming delivery exceeds the maximum message size; the rest of it is ignored.
    pub(super) is_too_large: bool,
}

/// Added to a link whose peer receives.
#[derive(Debug)]
pub(crate) struct OfOutgoing {
    /// The address of its target, by which requests may name the link for their answer.
    pub(super) reply_to: Option<String>,
    /// The session that it holds.
    pub(super) session: Option<String>,
}
