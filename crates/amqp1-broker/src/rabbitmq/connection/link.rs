//! What the RabbitMQ dialect adds to AMQP's links.

use crate::rabbitmq::model::outcome::Outcome;
use crate::rabbitmq::model::store::Route;

/// Where incoming messages go.
#[derive(Debug)]
pub(crate) enum Target {
    Node(Route),
    Management,
}

/// Added to a link whose peer receives.
#[derive(Debug)]
pub(crate) struct OfOutgoing {
    /// A counter, from which delivery tags are made.
    last_tag: u64,
    /// The outcome of a delivery that is settled without a state (section 3.5.3).
    pub(super) default_outcome: Outcome,
}

impl OfOutgoing {
    pub(super) fn new(default_outcome: Outcome) -> Self {
        Self {
            last_tag: 0,
            default_outcome,
        }
    }

    /// Makes a delivery tag, unique on this link.
    pub(super) fn take_tag(&mut self) -> [u8; 8] {
        self.last_tag = self.last_tag.wrapping_add(1);
        self.last_tag.to_be_bytes()
    }
}
