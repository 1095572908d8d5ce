//! A link endpoint of a session (AMQP 1.0 section 2.6).

use std::collections::VecDeque;

use crate::model::consumers::LinkId;
use crate::model::message::Message;
use crate::model::outcome::Outcome;
use crate::model::store::Route;

use super::incoming::Partial;

/// A link, by what it is to the broker.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) name: String,
    /// In the store.
    pub(super) id: LinkId,
    pub(super) kind: Kind,
}

/// See [`Link`].
#[derive(Debug)]
pub(super) enum Kind {
    /// The peer sends.
    Incoming(Incoming),
    /// The peer receives.
    Outgoing(Outgoing),
    /// The broker has detached it, the peer not yet.
    Detached,
}

/// The broker's end of a link whose peer sends.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) target: Target,
    pub(super) delivery_count: u32,
    pub(super) credit: u32,
    /// A delivery of which more transfers are to come.
    pub(super) partial: Option<Partial>,
}

/// Where what comes in goes.
#[derive(Debug)]
pub(super) enum Target {
    Node(Route),
    Management,
}

/// The broker's end of a link whose peer receives.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) source: Source,
    /// Deliveries that were begun, and credit that was drained.
    pub(super) delivery_count: u32,
    /// Up to where the receiver lets delivery-count go.
    pub(super) limit: u32,
    /// Deliveries that wait in the session.
    pub(super) unsent: u32,
    /// Counted into delivery tags.
    pub(super) last_tag: u64,
    /// What a delivery that is settled without a state was settled with (section 3.5.3).
    pub(super) default_outcome: Outcome,
}

/// Where what goes out comes from.
#[derive(Debug)]
pub(super) enum Source {
    Queue,
    /// Answers that wait for credit.
    Management(VecDeque<Message>),
}

impl Outgoing {
    pub(super) fn new(source: Source, default_outcome: Outcome) -> Self {
        Self {
            source,
            delivery_count: 0,
            limit: 0,
            unsent: 0,
            last_tag: 0,
            default_outcome,
        }
    }

    /// Credit that neither a delivery nor a waiting one uses; negative when the receiver has
    /// lowered it below what waits.
    pub(super) fn spare(&self) -> i32 {
        let used = self.delivery_count.wrapping_add(self.unsent);
        self.limit.wrapping_sub(used) as i32
    }

    /// A delivery tag, unique on this link. The Service Bus dialect puts a lock token here.
    pub(super) fn take_tag(&mut self) -> [u8; 8] {
        self.last_tag = self.last_tag.wrapping_add(1);
        self.last_tag.to_be_bytes()
    }
}

impl Link {
    /// Delivery-count and link-credit, as a flow says them.
    pub(super) fn flow_state(&self) -> (u32, u32) {
        match &self.kind {
            Kind::Incoming(incoming) => (incoming.delivery_count, incoming.credit),
            Kind::Outgoing(outgoing) => {
                let credit = outgoing.limit.wrapping_sub(outgoing.delivery_count) as i32;
                (outgoing.delivery_count, credit.max(0) as u32)
            }
            Kind::Detached => (0, 0),
        }
    }

    /// Gives a publisher its full credit when half of it is used; true if the peer must be told.
    pub(super) fn top_up(&mut self, full: u32) -> bool {
        match &mut self.kind {
            Kind::Incoming(incoming) if incoming.credit <= full / 2 => {
                incoming.credit = full;
                true
            }
            _ => false,
        }
    }
}
