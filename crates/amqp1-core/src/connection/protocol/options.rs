//! How a receiver attaches, whatever broker it is for.

use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp_types::definitions::{ReceiverSettleMode, SenderSettleMode};
use serde_amqp::Value;

use super::terminus::Ask;
use super::watch::Watch;
use crate::format::history::Ledger;

/// How a receiver attaches.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReceiverOptions {
    /// Deliveries that may be unsettled at once.
    pub prefetch: u32,
    /// What the source is asked to be.
    pub ask: Ask,
    /// The link's name; one of its own by default.
    pub name: Option<String>,
    /// Credit is granted when all of the last one is used up, not before.
    pub in_windows: bool,
    /// The broker may answer a drain before it has sent what it has.
    pub answered_early: bool,
    /// Which deliveries the broker counts.
    pub ledger: Ledger,
    /// It counts what is unsettled when the link ends.
    pub counts_end: bool,
    /// How long the broker lets a delivery be unsettled.
    pub timeout: Option<Duration>,
    /// Link properties, as symbol and value.
    pub properties: Vec<(String, Value)>,
    /// A filter of the source, as its name and value.
    pub filter: Option<(&'static str, Value)>,
    /// Who settles, and who forgets first.
    pub settling: Settling,
    /// The broker does not take back what is in hand when the link ends: it is told.
    pub releases_in_hand: bool,
    /// Hears of what comes and goes.
    pub watch: Option<Arc<dyn Watch>>,
}

/// Who settles what a receiver gets, and who forgets it first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Settling {
    /// We do, and that is all.
    #[default]
    First,
    /// We do, and the broker's own settlement confirms it.
    Second,
    /// The broker does as it sends, and will not send it again.
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
