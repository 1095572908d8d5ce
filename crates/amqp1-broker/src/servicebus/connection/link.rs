//! A link endpoint of a session.

use std::collections::VecDeque;

use bytes::BytesMut;
use fe2o3_amqp_types::performatives::Attach;

use crate::model::consumers::LinkId;
use crate::servicebus::address::Address;
use crate::servicebus::facts;
use crate::servicebus::model::namespace::NodeId;

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
    pub(super) delivery_count: u32,
    pub(super) credit: u32,
    /// No more credit until then, Unix milliseconds.
    pub(super) withheld_until: u64,
    /// A delivery of which more transfers are to come.
    pub(super) partial: Option<Partial>,
}

/// See [`Incoming`].
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) delivery_id: u32,
    pub(super) format: u32,
    pub(super) is_settled: bool,
    /// Larger than a message may be: the rest of it is passed over.
    pub(super) is_too_large: bool,
    pub(super) payload: BytesMut,
}

/// The broker's end of a link whose peer receives.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) source: Source,
    /// The address of the target, by which requests may name the link for their answer.
    pub(super) reply_to: Option<String>,
    /// Deliveries that were begun, and credit that was drained.
    pub(super) delivery_count: u32,
    /// Up to where the receiver lets delivery-count go.
    pub(super) limit: u32,
    /// Deliveries that wait in the session.
    pub(super) unsent: u32,
    /// The session it has.
    pub(super) session: Option<String>,
}

/// Where what goes out comes from.
#[derive(Debug)]
pub(super) enum Source {
    Queue(NodeId),
    /// Answers that wait for credit.
    Replies(VecDeque<Vec<u8>>),
}

impl Outgoing {
    pub(super) fn new(source: Source, reply_to: Option<String>) -> Self {
        Self {
            source,
            reply_to,
            delivery_count: 0,
            limit: 0,
            unsent: 0,
            session: None,
        }
    }

    /// Credit that neither a delivery nor a waiting one uses; negative when the receiver has
    /// lowered it below what waits.
    pub(super) fn spare(&self) -> i32 {
        let used = self.delivery_count.wrapping_add(self.unsent);
        self.limit.wrapping_sub(used) as i32
    }
}

impl Link {
    /// Delivery-count and link-credit, as a flow says them.
    pub(super) fn flow_state(&self) -> (u32, u32) {
        match &self.kind {
            Kind::Incoming(incoming) => (incoming.delivery_count, incoming.credit),
            Kind::Outgoing(outgoing) | Kind::Waiting(_, outgoing) => {
                let credit = outgoing.limit.wrapping_sub(outgoing.delivery_count) as i32;
                (outgoing.delivery_count, credit.max(0) as u32)
            }
            Kind::Detached => (0, 0),
        }
    }

    /// Gives a sender its full credit when half of it is used; true if the peer must be told.
    pub(super) fn top_up(&mut self, now: u64) -> bool {
        match &mut self.kind {
            Kind::Incoming(incoming)
                if incoming.credit <= facts::SENDER_CREDIT / 2
                    && incoming.withheld_until <= now =>
            {
                incoming.withheld_until = 0;
                incoming.credit = facts::SENDER_CREDIT;
                true
            }
            _ => false,
        }
    }
}
