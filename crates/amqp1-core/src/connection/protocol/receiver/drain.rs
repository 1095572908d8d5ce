//! Asking the broker whether it has more: the receiver's part of a drain (2.6.7).
//!
//! A standing receiver has credit, and silence may mean that the queue is empty or that
//! a delivery is on its way. A drain tells the two apart: the broker sends what it has
//! and then says that it has used up the credit. It costs one round trip, and the credit
//! is granted again as soon as the answer is here.
//!
//! Two invariants hold whatever crosses on the wire: delivery-count is the sender's to
//! say, and delivery-count plus credit is as far as we ever let it go.

use std::time::{Duration, Instant};

use super::{Phase, Receiver};

/// How long a broker that does not drain may take for the first of what it says it has, and
/// one whose answer may have been an earlier one's to answer once more.
const GRACE: Duration = Duration::from_millis(500);

/// How long the link of such a broker, which has had credit for a while, must be silent.
const QUIET: Duration = Duration::from_millis(20);

/// A drain of a standing receiver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Drain {
    /// None that is not answered.
    #[default]
    None,
    Asked,
    /// Somebody asked while one was under way, which may have missed what came since.
    AskedAgain,
    /// The broker has answered that there is nothing, and may have meant an earlier question:
    /// it is asked once more.
    Confirming,
}

impl Receiver {
    /// The broker may answer a drain before it has sent what it has: it looks for deliveries on
    /// one thread and ends the drain on another. When the last of the credit is used up by
    /// a delivery, nobody waits for that end; it comes all the same, takes away the credit
    /// of the next question, and looks like its answer. So a link on which nothing came
    /// is asked again. A question that is put before such an end is done may not be
    /// heard at all.
    pub fn answered_early(mut self, early: bool) -> Self {
        self.early = early;
        self
    }

    /// Asks whether there is more: the credit to tell the broker with a drain, if the
    /// question is to be sent now.
    pub fn ask(&mut self, now: Instant) -> Option<u32> {
        if self.phase != Phase::Attached || self.prefetch == 0 || self.on_demand {
            return None;
        }
        if self.is_blocked() {
            return None;
        }
        if self.whole_windows {
            self.expect_within(QUIET, now);
            return None;
        }
        let is_unanswered = self.drain == Drain::Confirming && !self.is_expected(now);
        if self.drain != Drain::None && !is_unanswered {
            self.drain = Drain::AskedAgain;
            return None;
        }
        let free = self.prefetch.saturating_sub(self.held);
        let free = free.min(if self.is_careful() { 1 } else { u32::MAX });
        let credit = free.max(self.credit);
        if credit == 0 {
            return None;
        }
        self.revoked = self.revoked.saturating_sub(credit - self.credit);
        self.credit = credit;
        self.drain = Drain::Asked;
        self.expected = None;
        Some(credit)
    }

    /// What the broker had when it was last asked has come, or none may come.
    pub fn is_answered(&self, now: Instant) -> bool {
        match &self.phase {
            Phase::Attaching => false,
            Phase::Detached(_) => true,
            Phase::Attached => {
                matches!(self.drain, Drain::None | Drain::Confirming) && !self.is_expected(now)
            }
        }
    }

    /// The broker's answer to a drain: it has advanced its delivery-count over the credit
    /// that was left. Returns the credit of a drain that is to follow.
    pub fn on_drained(
        &mut self,
        delivery_count: Option<u32>,
        credit: u32,
        now: Instant,
    ) -> Option<u32> {
        if credit > 0 {
            return None;
        }
        let skipped = delivery_count.map_or(0, |count| count.wrapping_sub(self.delivery_count));
        if let (Some(count), true) = (
            delivery_count,
            skipped <= self.credit.saturating_add(self.revoked),
        ) {
            let unused = skipped.min(self.credit);
            self.credit -= unused;
            // It came over credit that was taken back meanwhile.
            self.revoked -= skipped - unused;
            self.delivery_count = count;
        }
        // The answer to an earlier drain may come after credit was granted again.
        if self.credit > 0 {
            return None;
        }
        self.drained |= self.on_demand;
        self.end_drain(now)
    }

    /// No credit is left: there is nothing to wait for. Returns the credit of a drain that is
    /// to follow.
    fn end_drain(&mut self, now: Instant) -> Option<u32> {
        let ended = std::mem::take(&mut self.drain);
        self.expected = None;
        if ended == Drain::AskedAgain || (self.early && ended == Drain::Asked) {
            if let Some(credit) = self.ask(now) {
                if self.early && ended == Drain::Asked {
                    self.drain = Drain::Confirming;
                    self.expect_within(GRACE, now);
                }
                return Some(credit);
            }
        }
        self.signal.raise();
        None
    }

    /// The last of the credit was used up by a delivery: the answer tells nothing more.
    pub(super) fn end_drain_without_credit(&mut self) {
        if self.credit == 0 && self.drain != Drain::None {
            self.drain = Drain::None;
            self.expected = None;
            self.signal.raise();
        }
    }

    /// Credit was granted to a broker that does not drain: what it has comes soon.
    pub(super) fn expect_after_grant(&mut self, now: Instant) {
        if self.whole_windows {
            self.expect_within(GRACE, now);
        }
    }

    /// Such a broker answers a grant with how much it has, and sends that afterwards.
    pub fn on_available(&mut self, available: Option<u32>, now: Instant) {
        if !self.whole_windows {
            return;
        }
        match available {
            Some(0) => {
                self.expected = None;
                self.signal.raise();
            }
            _ => self.expect_within(GRACE, now),
        }
    }

    /// A delivery has come: others may be behind it.
    pub(super) fn expect_after_delivery(&mut self, now: Instant) {
        if self.expected.is_some() {
            self.expected = Some(now + QUIET);
        }
    }

    fn is_expected(&self, now: Instant) -> bool {
        self.expected.is_some_and(|at| at > now)
    }

    fn expect_within(&mut self, time: Duration, now: Instant) {
        self.expected = self.expected.max(Some(now + time));
    }
}
