//! A link endpoint of a session.

use std::collections::VecDeque;

use fe2o3_amqp_types::performatives::Attach;

use crate::amqp::credit::{ReceiveCredit, SendCredit};
use crate::amqp::ids::LinkId;
use crate::amqp::partial::Partial;
use crate::servicebus::address::Address;
use crate::servicebus::facts;
use crate::servicebus::model::namespace::NodeId;
use crate::wire::transfer::Payload;

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) id: LinkId,
    /// What it is attached to.
    pub(super) address: Address,
    pub(super) kind: Kind,
    /// When something last moved on it, Unix milliseconds.
    pub(super) active_at: u64,
}

/// See [`Link`].
#[derive(Debug)]
pub(super) enum Kind {
    /// The peer sends.
    Incoming(Incoming),
    /// The peer receives.
    Outgoing(Outgoing),
    /// The peer will receive, once it has got a session.
    Waiting(Box<Attach>, Outgoing),
    /// The broker has detached it, the peer not yet.
    Detached,
}

/// The broker's end of a link whose peer sends.
#[derive(Debug)]
pub(super) struct Incoming {
    /// The entity; `None`: one of the broker's own nodes.
    pub(super) node: Option<NodeId>,
    pub(super) credit: ReceiveCredit,
    /// No more credit until then, Unix milliseconds.
    pub(super) withheld_until: u64,
    /// A delivery of which more transfers are to come.
    pub(super) partial: Option<Partial>,
    /// It is larger than a message may be: the rest of it is passed over.
    pub(super) is_too_large: bool,
}

/// The broker's end of a link whose peer receives.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) source: Source,
    /// The address of the target, by which requests may name the link for their answer.
    pub(super) reply_to: Option<String>,
    pub(super) credit: SendCredit,
    /// The session it has.
    pub(super) session: Option<String>,
}

/// Where what goes out comes from.
#[derive(Debug)]
pub(super) enum Source {
    Queue(NodeId),
    /// Answers that wait for credit.
    Replies(VecDeque<Payload>),
}

impl Outgoing {
    pub(super) fn new(source: Source, reply_to: Option<String>) -> Self {
        Self {
            source,
            reply_to,
            credit: SendCredit::default(),
            session: None,
        }
    }
}

impl Link {
    /// Delivery-count and link-credit, as a flow says them.
    pub(super) fn flow_state(&self) -> (u32, u32) {
        match &self.kind {
            Kind::Incoming(incoming) => incoming.credit.flow_state(),
            Kind::Outgoing(outgoing) | Kind::Waiting(_, outgoing) => outgoing.credit.flow_state(),
            Kind::Detached => (0, 0),
        }
    }

    /// Gives a sender its full credit when half of it is used; true if the peer must be told.
    pub(super) fn top_up(&mut self, now: u64) -> bool {
        match &mut self.kind {
            Kind::Incoming(incoming) if incoming.withheld_until <= now => {
                let is_given = incoming.credit.top_up(facts::SENDER_CREDIT);
                if is_given {
                    incoming.withheld_until = 0;
                }
                is_given
            }
            _ => false,
        }
    }
}
