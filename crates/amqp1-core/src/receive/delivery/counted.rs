//! Counts what happens to a job.

use std::sync::atomic::Ordering;

use super::{Delivery, Outcome, LOST};
use crate::base::fork;

impl Delivery {
    /// A worker gets it.
    pub(super) fn count_handed_out(&self) {
        let counters = self.definition.counters();
        counters.received.add(1);
        if self.attempts() > 1 {
            counters.redelivered.add(1);
        }
        match self.is_completed() {
            // On receipt.
            true => counters.settled[Outcome::Acked as usize].add(1),
            false => counters.in_hand(1),
        }
    }

    /// It was settled, for the first time.
    pub(super) fn count_settled(&self, outcome: Outcome) {
        if self.generation != fork::generation() {
            return;
        }
        let counters = self.definition.counters();
        counters.settled[outcome as usize].add(1);
        if let Some(since) = self.handed_out.get() {
            counters.in_hand(-1);
            counters.held_times.note(since.elapsed());
        }
    }

    /// It was settled, lost or dropped. Other jobs are counted by their link.
    #[inline]
    pub(super) fn is_out_of_hand(&self) {
        if self.is_deferred {
            self.link.deferred.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// It could not be settled, or is known to be lost.
    pub(super) fn mark_lost(&self) {
        let before = self.settled.swap(LOST, Ordering::Relaxed);
        if before == 0 {
            self.is_out_of_hand();
        }
        if before == LOST || self.generation != fork::generation() {
            return;
        }
        let counters = self.definition.counters();
        counters.lost.add(1);
        match before {
            0 if self.handed_out.get().is_some() => counters.in_hand(-1),
            0 => {}
            outcome => counters.settled[usize::from(outcome)].take_back(),
        }
    }

    /// It is dropped, possibly unsettled.
    pub(super) fn count_dropped(&self) {
        let is_in_hand = self.handed_out.get().is_some() && !self.is_completed();
        if is_in_hand && self.generation == fork::generation() {
            let counters = self.definition.counters();
            counters.in_hand(-1);
            counters.abandoned.add(1);
        }
    }
}
