//! The options of senders and receivers, for any broker.

use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp_types::definitions::{ReceiverSettleMode, SenderSettleMode};
use fe2o3_amqp_types::messaging::{Source, TerminusExpiryPolicy};
use serde_amqp::primitives::{Array, Symbol};
use serde_amqp::Value;

use super::elastic::Elastic;
use super::terminus::Ask;
use super::watch::Watch;
use crate::base::counters::CountedQueue;
use crate::format::history::Ledger;

/// The options of a sender.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SenderOptions {
    /// The requirement on the target.
    pub ask: Ask,
    /// How many further links to the same target it may open in its session, for more credit. Only
    /// for a broker that keeps the order of a session's messages, whatever link they come over.
    pub further_lanes: u32,
}

/// The options of a receiver.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReceiverOptions {
    /// The most unsettled deliveries at once.
    pub prefetch: u32,
    /// The limits of a prefetch that adapts to PHP's speed; `None` if the user has set one.
    pub elastic: Option<Elastic>,
    /// The requirement on the source.
    pub ask: Ask,
    /// The link's name; by default, it gets a generated one.
    pub name: Option<String>,
    /// Grant credit only when all of the previous credit is used up.
    pub in_windows: bool,
    /// The broker may answer a drain before it has sent all messages.
    pub answered_early: bool,
    /// Which deliveries the broker counts.
    pub ledger: Ledger,
    /// The broker counts unsettled deliveries when the link ends.
    pub counts_end: bool,
    /// How long a delivery may stay unsettled, by the broker's limit.
    pub timeout: Option<Duration>,
    /// Link properties, as symbol and value.
    pub properties: Vec<(String, Value)>,
    /// The broker makes the node; the address that was given is not used.
    pub dynamic: Option<Dynamic>,
    /// A filter of the source: its name and value.
    pub filter: Option<(&'static str, Value)>,
    /// Who settles deliveries, and who forgets them first.
    pub settling: Settling,
    /// The broker does not take back handed-out deliveries when the link ends, so they must be
    /// released.
    pub releases_in_hand: bool,
    /// Observes arriving and leaving deliveries.
    pub watch: Option<Arc<dyn Watch>>,
    /// Its queue, for figures and events.
    pub queue: Option<Arc<CountedQueue>>,
}

/// A node that the broker makes for a link, and removes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dynamic {
    /// The capability that names the kind of node.
    pub capability: Option<&'static str>,
    /// The broker sends all messages settled.
    pub settled: bool,
}

impl Dynamic {
    /// A source without an address.
    pub(super) fn source(self) -> Source {
        let capability = self.capability.map(Symbol::from);
        Source {
            dynamic: true,
            expiry_policy: TerminusExpiryPolicy::LinkDetach,
            capabilities: capability.map(|capability| Array(vec![capability])),
            ..Source::default()
        }
    }
}

/// Who settles a receiver's deliveries, and who forgets them first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Settling {
    /// The client settles, without confirmation.
    #[default]
    First,
    /// The client settles, and the broker's own settlement confirms it.
    Second,
    /// The broker settles when it sends, and will not send the message again.
    Sent,
}

impl Settling {
    /// `rcv-settle-mode` and `snd-settle-mode`.
    pub(super) fn modes(self) -> (ReceiverSettleMode, SenderSettleMode) {
        match self {
            Settling::First => (ReceiverSettleMode::First, SenderSettleMode::Mixed),
            Settling::Second => (ReceiverSettleMode::Second, SenderSettleMode::Unsettled),
            Settling::Sent => (ReceiverSettleMode::First, SenderSettleMode::Settled),
        }
    }
}
