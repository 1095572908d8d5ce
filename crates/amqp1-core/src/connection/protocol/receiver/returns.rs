//! What a link knows of the jobs that come back, and of how its broker counts them.

use bytes::Bytes;

use crate::format::history::{History, Ledger};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Returns {
    pub ledger: Ledger,
    /// What the link's end gives back is counted as lost, where nothing else is said before.
    pub counts_end: bool,
    /// The broker does not take back what is in hand when the link ends: it is told.
    pub releases_in_hand: bool,
    /// It is careful no more, and may have all of its credit.
    pub speeds_up: bool,
    /// PHP has asked for a job and got none.
    pub asking: bool,
    /// To go back at once.
    pub unwelcome: Vec<(u32, History)>,
}

impl Returns {
    /// What is to be known of a delivery while PHP has it, if anything: when the link ends, it
    /// has to be told that it goes back.
    pub fn history_in_hand(&self, payload: &Bytes) -> Option<History> {
        match self.ledger {
            Ledger::All => Some(History::peek(payload, Ledger::All)),
            Ledger::Lost if self.counts_end => Some(History::default()),
            _ => self.releases_in_hand.then(History::default),
        }
    }

    /// What the broker is to be told of a delivery that goes back.
    pub fn history(&self, payload: &Bytes) -> History {
        match self.ledger {
            Ledger::All => History::peek(payload, Ledger::All),
            _ => History::default(),
        }
    }
}
