//! A link's data about returned jobs, and how its broker counts them.

use bytes::Bytes;

use crate::format::history::{History, Ledger};

#[derive(Debug, Default)]
pub(super) struct Returns {
    pub ledger: Ledger,
    /// Deliveries returned by the link's end count as lost, unless a disposition precedes it.
    pub counts_end: bool,
    /// The broker does not take back handed-out deliveries when the link ends, so they must be
    /// released.
    pub releases_in_hand: bool,
    /// The link is no longer careful, and may use its full credit.
    pub speeds_up: bool,
    /// PHP has asked for a job and got none.
    pub asking: bool,
    /// Deliveries to return at once.
    pub unwelcome: Vec<(u32, History)>,
}

impl Returns {
    /// The history of a delivery while PHP holds it, if it is needed to report the return when the
    /// link ends.
    pub fn history_in_hand(&self, payload: &Bytes) -> Option<History> {
        match self.ledger {
            Ledger::All => Some(History::peek(payload, Ledger::All)),
            Ledger::Lost if self.counts_end => Some(History::default()),
            _ => self.releases_in_hand.then(History::default),
        }
    }

    /// The history to report when a delivery is returned.
    pub fn history(&self, payload: &Bytes) -> History {
        match self.ledger {
            Ledger::All => History::peek(payload, Ledger::All),
            _ => History::default(),
        }
    }
}
