//! Deliveries that go back to the broker before PHP has seen them.
//!
//! Where the broker counts such returns, each is told with an annotation that says so: see
//! [`History`].
//!
//! A job that came back from a process that died, or that the broker took back, may be what
//! that process died of. It is never kept in the buffer behind another job: it is handed out
//! when it comes while PHP waits, and goes back otherwise. So the next death counts against it
//! alone, and a job that did not run is not taken for one that kills. A link that has met such a
//! job is careful: it asks for one job at a time, when PHP does, until one comes that has no
//! such past. So is each link at its beginning, since what it gets first may have just killed
//! the process before it.

use std::collections::VecDeque;

use bytes::Bytes;

use super::drain::Drain;
use super::recalled::{has, Range};
use super::{Incoming, Receiver, RELEASED};
use crate::connection::protocol::link::Phase;
use crate::format::history::{History, Ledger};
use crate::wire::{frame, state};

/// What a link knows of the jobs that come back.
#[derive(Debug, Default)]
pub(super) struct Returns {
    ledger: Ledger,
    /// What the link's end gives back is counted as lost, where nothing else is said before.
    counts_end: bool,
    careful: bool,
    /// It is careful no more, and may have all of its credit.
    has_changed: bool,
    /// PHP has asked for a job and got none.
    asking: bool,
    /// The broker has said that nothing is on its way over the credit that was taken back.
    quiet: bool,
    /// To go back at once.
    unwelcome: Vec<(u32, History)>,
    /// In PHP's hands, where it has to be told that they go back with the link.
    in_hand: VecDeque<(u32, History)>,
}

impl Returns {
    pub fn note_asking(&mut self, asking: bool) {
        self.asking = asking;
    }

    pub fn is_careful(&self) -> bool {
        self.careful
    }
}

impl Receiver {
    /// A receiver of a broker that counts deliveries in this way.
    pub fn with_ledger(mut self, ledger: Ledger) -> Self {
        self.returns.ledger = ledger;
        self.returns.careful = ledger != Ledger::None && self.prefetch > 0;
        self
    }

    /// A receiver of a broker that counts what is unsettled when the link ends (Qpid).
    pub fn counted_at_the_end(mut self, counts: bool) -> Self {
        self.returns.counts_end = counts;
        self
    }

    /// One job at a time, and only when PHP waits for it.
    pub fn is_careful(&self) -> bool {
        self.returns.careful
    }

    /// PHP has a delivery in its hands.
    pub(super) fn note_in_hand(&mut self, incoming: &Incoming) {
        if incoming.settled {
            return;
        }
        let history = match self.returns.ledger {
            Ledger::All => History::peek(&incoming.payload, Ledger::All),
            Ledger::Lost if self.returns.counts_end => History::default(),
            _ => return,
        };
        let id = incoming.delivery_id;
        self.returns.in_hand.push_back((id, history));
    }

    /// PHP has it in its hands no more.
    pub(super) fn note_let_go(&mut self, delivery_id: u32) {
        let mut in_hand = self.returns.in_hand.iter();
        if let Some(at) = in_hand.position(|(id, _)| *id == delivery_id) {
            self.returns.in_hand.remove(at);
        }
    }

    /// Gives back what PHP leaves unsettled when it ends the link: the link's end would say
    /// the same, and not that it is not to count.
    pub fn return_in_hand(&mut self, out: &mut Vec<u8>, channel: u16) {
        for (id, history) in std::mem::take(&mut self.returns.in_hand) {
            if !self.is_recalled(id) {
                self.give_back(out, channel, (id, id), history);
            }
        }
    }

    /// Whether a delivery that came goes back, as it may not wait behind another.
    pub(super) fn is_unwelcome(&mut self, delivery_id: u32, payload: &Bytes) -> bool {
        let ledger = self.returns.ledger;
        if ledger == Ledger::None || self.on_demand || self.prefetch == 0 {
            return false;
        }
        let history = History::peek(payload, ledger);
        let is_next = self.returns.asking && self.buffer.is_empty();
        if history.unaccounted(ledger) == 0 {
            if self.returns.careful && self.returns.asking {
                self.returns.careful = false;
                self.returns.has_changed = true;
            }
            return false;
        }
        self.returns.careful = true;
        if is_next || history.is_near_limit(ledger) {
            return false;
        }
        self.returns.unwelcome.push((delivery_id, history));
        true
    }

    /// What is buffered goes back when it may not be this process's for long: where the broker
    /// is told that such a return is not to count.
    pub(super) fn gives_back_doubtful(&self) -> bool {
        self.returns.ledger == Ledger::All && !self.on_demand
    }

    /// The broker has taken back what this process held too long: what is buffered goes back
    /// too. True when the broker is to be told that there is no more credit.
    pub fn return_doubtful(&mut self, out: &mut Vec<u8>, channel: u16) -> bool {
        if !self.gives_back_doubtful() {
            return false;
        }
        self.returns.careful = true;
        self.release_buffered(out, channel);
        self.revoke_credit()
    }

    pub(super) fn has_recalled_in_hand(&self) -> bool {
        let mut in_hand = self.returns.in_hand.iter();
        in_hand.any(|(id, _)| self.is_recalled(*id))
    }

    /// One of the deliveries `first..=last` is in PHP's hands.
    pub(super) fn has_in_hand(&self, range: Range) -> bool {
        let mut in_hand = self.returns.in_hand.iter();
        self.returns.ledger != Ledger::All || in_hand.any(|(id, _)| has(range, *id))
    }

    /// Gives back what may not wait. True when the broker is to be told that there is no
    /// more credit.
    pub fn return_unwelcome(&mut self, out: &mut Vec<u8>, channel: u16) -> bool {
        if !self.returns.careful {
            return false;
        }
        for (id, history) in std::mem::take(&mut self.returns.unwelcome) {
            self.let_go(id);
            self.give_back(out, channel, (id, id), history);
        }
        self.revoke_credit()
    }

    /// True once when the link may have all of its credit at last.
    pub fn takes_up_speed(&mut self) -> bool {
        std::mem::take(&mut self.returns.has_changed)
    }

    /// No more deliveries are wanted, but for those on the way. False when there was no credit.
    pub fn revoke_credit(&mut self) -> bool {
        let credit = std::mem::take(&mut self.credit);
        self.revoked += credit;
        self.returns.quiet &= credit == 0;
        self.drain = Drain::None;
        self.expected = None;
        credit > 0
    }

    /// The broker has answered that it has sent no more than what has come. What comes over
    /// credit that was taken back is no breach all the same: RabbitMQ 3 says so and sends.
    pub fn on_quiet(&mut self, delivery_count: Option<u32>, credit: u32) {
        let is_all = credit == 0 && delivery_count == Some(self.delivery_count);
        if is_all && self.credit == 0 && self.revoked > 0 {
            self.returns.quiet = true;
            self.signal.raise();
        }
    }

    /// Nothing may be on its way that would count, once the link has ended, as a delivery of
    /// which nobody has told.
    pub fn is_quiet(&self) -> bool {
        let is_told = match self.returns.ledger {
            Ledger::All => true,
            Ledger::Lost => self.returns.counts_end,
            Ledger::None | Ledger::Failed => false,
        };
        let is_open = self.phase == Phase::Attached && is_told;
        !is_open || (self.credit == 0 && (self.revoked == 0 || self.returns.quiet))
    }

    /// The link is about to end. True when the broker is to be told that there is no more
    /// credit, as something goes back to it.
    pub fn stop_asking(&mut self) -> bool {
        self.phase == Phase::Attached && self.held > 0 && self.revoke_credit()
    }

    /// Credit for the one job that PHP waits for.
    pub(super) fn careful_credit(&mut self) -> Option<u32> {
        let wanted = self.returns.asking && self.buffer.is_empty();
        let is_busy = self.credit > 0 || self.drain != Drain::None;
        if !wanted || is_busy || self.held >= self.prefetch {
            return None;
        }
        self.revoked = self.revoked.saturating_sub(1);
        self.credit = 1;
        Some(1)
    }

    /// Gives back everything that PHP has not seen.
    pub fn release_buffered(&mut self, out: &mut Vec<u8>, channel: u16) {
        self.flush(out, channel);
        let mut range: Option<((u32, u32), History)> = None;
        for incoming in std::mem::take(&mut self.buffer) {
            self.held = self.held.saturating_sub(1);
            if incoming.settled {
                continue;
            }
            if let Some(watch) = &self.watch {
                watch.forget(&incoming.tag);
            }
            let id = incoming.delivery_id;
            let history = match self.returns.ledger {
                Ledger::All => History::peek(&incoming.payload, Ledger::All),
                _ => History::default(),
            };
            range = match range {
                Some(((first, last), same)) if last.wrapping_add(1) == id && same == history => {
                    Some(((first, id), same))
                }
                Some((ids, earlier)) => {
                    self.give_back(out, channel, ids, earlier);
                    Some(((id, id), history))
                }
                None => Some(((id, id), history)),
            };
        }
        if let Some((ids, history)) = range {
            self.give_back(out, channel, ids, history);
        }
    }

    fn give_back(
        &self,
        out: &mut Vec<u8>,
        channel: u16,
        (first, last): (u32, u32),
        history: History,
    ) {
        match self.returns.ledger {
            Ledger::All => {
                let modified = state::modified(false, &[history.returned_again()]);
                frame::encode_disposition(out, channel, first, last, true, &modified);
            }
            _ => frame::encode_disposition(out, channel, first, last, true, &RELEASED),
        }
    }
}

#[cfg(test)]
#[path = "returns_tests.rs"]
mod tests;
