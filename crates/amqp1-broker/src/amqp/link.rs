//! A link endpoint of a session (AMQP 1.0 section 2.6).

use std::collections::VecDeque;

use fe2o3_amqp_types::performatives::Attach;

use super::credit::{ReceiveCredit, SendCredit};
use super::ids::LinkId;
use super::partial::Partial;
use super::parts::Parts;
use crate::wire::transfer::Payload;

/// A link endpoint, at the broker's end.
#[derive(Debug)]
pub(crate) struct Link<P: Parts> {
    pub(crate) name: String,
    /// Its id in the model.
    pub(crate) id: LinkId,
    pub(crate) kind: Kind<P>,
    pub(crate) of: P::OfLink,
}

/// The role of a [`Link`].
#[derive(Debug)]
pub(crate) enum Kind<P: Parts> {
    /// The peer sends.
    Incoming(Incoming<P>),
    /// The peer receives.
    Outgoing(Outgoing<P>),
    /// The peer will receive once its attach is answered.
    Waiting(Box<Attach>, Outgoing<P>),
    /// The broker has detached the link, the peer has not.
    Detached,
}

/// The broker's end of a link whose peer sends.
#[derive(Debug)]
pub(crate) struct Incoming<P: Parts> {
    pub(crate) credit: ReceiveCredit,
    /// A delivery that waits for more transfers.
    pub(crate) partial: Option<Partial>,
    pub(crate) of: P::OfIncoming,
}

/// The broker's end of a link whose peer receives.
#[derive(Debug)]
pub(crate) struct Outgoing<P: Parts> {
    pub(crate) source: Source<P::Queue>,
    pub(crate) credit: SendCredit,
    pub(crate) of: P::OfOutgoing,
}

/// Where outgoing messages come from.
#[derive(Debug)]
pub(crate) enum Source<Q> {
    Queue(Q),
    /// Answers to requests, which wait for credit.
    Replies(VecDeque<Payload>),
}

/// The most answers that may wait for credit on one link; more are discarded.
const MAX_REPLIES: usize = 256;

impl<P: Parts> Outgoing<P> {
    pub(crate) fn new(source: Source<P::Queue>, of: P::OfOutgoing) -> Self {
        Self {
            source,
            credit: SendCredit::default(),
            of,
        }
    }

    /// Whether the link can queue another answer to a request.
    pub(crate) fn takes_replies(&self) -> bool {
        matches!(&self.source, Source::Replies(replies) if replies.len() < MAX_REPLIES)
    }
}

impl<P: Parts> Link<P> {
    /// Delivery-count and link-credit, as a flow states them.
    pub(super) fn flow_state(&self) -> (u32, u32) {
        match &self.kind {
            Kind::Incoming(incoming) => incoming.credit.flow_state(),
            Kind::Outgoing(outgoing) | Kind::Waiting(_, outgoing) => outgoing.credit.flow_state(),
            Kind::Detached => (0, 0),
        }
    }
}
