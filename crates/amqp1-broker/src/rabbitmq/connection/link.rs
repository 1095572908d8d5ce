//! A link endpoint of a session (AMQP 1.0 section 2.6).

use std::collections::VecDeque;

use crate::amqp::credit::{ReceiveCredit, SendCredit};
use crate::amqp::ids::LinkId;
use crate::amqp::partial::Partial;
use crate::rabbitmq::model::outcome::Outcome;
use crate::rabbitmq::model::store::Route;
use crate::wire::transfer::Payload;

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
    pub(super) credit: ReceiveCredit,
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
    pub(super) credit: SendCredit,
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
    Management(VecDeque<Payload>),
}

impl Outgoing {
    pub(super) fn new(source: Source, default_outcome: Outcome) -> Self {
        Self {
            source,
            credit: SendCredit::default(),
            last_tag: 0,
            default_outcome,
        }
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
            Kind::Incoming(incoming) => incoming.credit.flow_state(),
            Kind::Outgoing(outgoing) => outgoing.credit.flow_state(),
            Kind::Detached => (0, 0),
        }
    }

    /// Gives a publisher its full credit when half of it is used; true if the peer must be told.
    pub(super) fn top_up(&mut self, full: u32) -> bool {
        match &mut self.kind {
            Kind::Incoming(incoming) => incoming.credit.top_up(full),
            _ => false,
        }
    }
}
