//! Returns deliveries to the broker that PHP has not seen.
//!
//! If the broker counts such returns, an annotation reports each one: see [`History`].
//!
//! A job that came back from a process that died, or that the broker took back, may be the cause of
//! that process's death. It never waits in the buffer behind another job. If PHP waits when it
//! arrives, it is handed out; otherwise it is returned. Thus only this job is blamed for the next
//! death, and a job that did not run is not mistaken for one that kills. A link that has seen such
//! a job is careful: it requests one job at a time, when PHP asks for one, until a job without such
//! a past arrives. Every new link starts careful, because its first job may have just killed the
//! previous process.

use std::sync::Arc;

use bytes::Bytes;

use super::recalled::Range;
use super::{Receiver, RELEASED};
use crate::base::counters::{CountedQueue, Counters};
use crate::connection::protocol::link::Phase;
use crate::format::history::{History, Ledger};
use crate::wire::{frame, state};

impl Receiver {
    /// For a broker that counts deliveries in this way.
    /// For figures.
    pub fn of_queue(mut self, queue: Option<Arc<CountedQueue>>) -> Self {
        self.buffer.queue = queue;
        self
    }

    /// The counters of its queue, and the number of deliveries that wait.
    pub fn counted_buffer(&self) -> Option<(&'static Counters, u64)> {
        let queue = self.buffer.queue.as_ref()?;
        Some((queue.counters, self.buffer.len() as u64))
    }

    pub fn with_ledger(mut self, ledger: Ledger) -> Self {
        self.returns.ledger = ledger;
        if ledger != Ledger::None && self.credit.mode.renews() {
            self.credit.mode.suspect();
        }
        self
    }

    /// For a broker that counts unsettled deliveries when the link ends (Qpid).
    pub fn counted_at_the_end(mut self, counts: bool) -> Self {
        self.returns.counts_end = counts;
        self
    }

    /// For a broker that does not take back handed-out deliveries when the link ends, so that they
    /// must be released.
    pub fn releasing_in_hand(mut self, releases: bool) -> Self {
        self.returns.releases_in_hand = releases;
        self
    }

    /// Whether it requests one job at a time, and only when PHP waits.
    pub fn is_careful(&self) -> bool {
        self.credit.mode.is_careful()
    }

    /// Returns the deliveries that PHP leaves unsettled when it ends the link. The link's end would
    /// also return them, but could not report that they must not count.
    pub fn return_in_hand(&mut self, out: &mut Vec<u8>, channel: u16) {
        for (id, history) in self.in_hand.take() {
            if !self.is_recalled(id) {
                self.give_back(out, channel, (id, id), history);
            }
        }
    }

    /// Whether an arriving delivery must be returned, because it may not wait behind another.
    pub(super) fn is_unwelcome(&mut self, delivery_id: u32, payload: &Bytes) -> bool {
        let ledger = self.returns.ledger;
        if ledger == Ledger::None || !self.credit.mode.renews() {
            return false;
        }
        let history = History::peek(payload, ledger);
        let is_next = self.returns.asking && self.buffer.is_empty();
        if history.unaccounted(ledger) == 0 {
            self.returns.speeds_up |= self.returns.asking && self.credit.mode.clear();
            return false;
        }
        self.credit.mode.suspect();
        if is_next || history.is_near_limit(ledger) {
            return false;
        }
        self.returns.unwelcome.push((delivery_id, history));
        true
    }

    /// Whether the buffer is returned if its deliveries may soon be taken back: only if the broker
    /// can be told that such a return does not count.
    pub(super) fn gives_back_doubtful(&self) -> bool {
        self.returns.ledger == Ledger::All && !self.credit.mode.is_on_demand()
    }

    /// Requests one job at a time from now on, because others can process jobs sooner.
    pub fn slow_down(&mut self) {
        self.credit.mode.suspect();
    }

    /// Returns the buffer too, after the broker has taken back what this process held too long.
    /// True if the broker must be told that there is no more credit.
    pub fn return_doubtful(&mut self, out: &mut Vec<u8>, channel: u16) -> bool {
        if !self.gives_back_doubtful() {
            return false;
        }
        self.credit.mode.suspect();
        self.release_buffered(out, channel);
        self.credit.revoke()
    }

    pub(super) fn has_recalled_in_hand(&self) -> bool {
        self.in_hand.ids().any(|id| self.is_recalled(id))
    }

    /// Whether PHP holds one of the deliveries `first..=last`.
    pub(super) fn has_in_hand(&self, range: Range) -> bool {
        self.returns.ledger != Ledger::All || self.in_hand.has_any_of(range)
    }

    /// Returns deliveries that may not wait. True if the broker must be told that there is no more
    /// credit.
    pub fn return_unwelcome(&mut self, out: &mut Vec<u8>, channel: u16) -> bool {
        if !self.is_careful() {
            return false;
        }
        for (id, history) in std::mem::take(&mut self.returns.unwelcome) {
            self.let_go(id);
            self.give_back(out, channel, (id, id), history);
        }
        self.credit.revoke()
    }

    /// True once, when the link may use its full credit again.
    pub fn takes_up_speed(&mut self) -> bool {
        std::mem::take(&mut self.returns.speeds_up)
    }

    /// Whether nothing is in flight that would count, after the link's end, as a delivery without a
    /// recorded end.
    pub fn is_quiet(&self) -> bool {
        let is_told = match self.returns.ledger {
            Ledger::All => true,
            Ledger::Lost => self.returns.counts_end,
            Ledger::None | Ledger::Failed => false,
        };
        let is_open = self.phase == Phase::Attached && is_told;
        !is_open || self.credit.is_quiet()
    }

    /// Prepares the end of the link. True if the broker must be told that there is no more credit,
    /// because deliveries will be returned.
    pub fn stop_asking(&mut self) -> bool {
        self.phase == Phase::Attached && self.held > 0 && self.credit.revoke()
    }

    /// Returns everything that PHP has not seen.
    pub fn release_buffered(&mut self, out: &mut Vec<u8>, channel: u16) {
        self.release_beyond(0, out, channel);
    }

    /// Returns what PHP has not seen, but for the next `kept` deliveries.
    pub fn release_beyond(&mut self, kept: usize, out: &mut Vec<u8>, channel: u16) {
        self.flush(out, channel);
        let mut range: Option<((u32, u32), History)> = None;
        for incoming in self.buffer.split_off(kept) {
            self.held = self.held.saturating_sub(1);
            if incoming.settled {
                continue;
            }
            if let Some(watch) = &self.watch {
                watch.forget(&incoming.tag);
            }
            let id = incoming.delivery_id;
            let history = self.returns.history(&incoming.payload);
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
#[path = "returning_tests.rs"]
mod tests;
