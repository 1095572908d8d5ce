//! What this dialect's links have beside what AMQP gives them.

use crate::rabbitmq::model::outcome::Outcome;
use crate::rabbitmq::model::store::Route;

/// Where what comes in goes.
#[derive(Debug)]
pub(crate) enum Target {
    Node(Route),
    Management,
}

/// What a link whose peer receives has.
#[derive(Debug)]
pub(crate) struct OfOutgoing {
    /// Counted into delivery tags.
    last_tag: u64,
    /// What a delivery that is settled without a state was settled with (section 3.5.3).
    pub(super) default_outcome: Outcome,
}

impl OfOutgoing {
    pub(super) fn new(default_outcome: Outcome) -> Self {
        Self {
            last_tag: 0,
            default_outcome,
        }
    }

    /// A delivery tag, unique on this link.
    pub(super) fn take_tag(&mut self) -> [u8; 8] {
        self.last_tag = self.last_tag.wrapping_add(1);
        self.last_tag.to_be_bytes()
    }
}
