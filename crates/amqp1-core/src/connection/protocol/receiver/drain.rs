//! Asks the broker whether it has more: the receiver's part of a drain (2.6.7).
//!
//! A standing receiver has credit. Silence may mean that the queue is empty, or that a delivery is
//! in flight. A drain distinguishes the two: the broker sends its messages and then reports that it
//! has used up the credit. This costs one round trip, and the credit is granted again as soon as
//! the answer arrives.

use std::time::{Duration, Instant};

use super::credit::{Credit, Drain};

/// How long a broker that does not drain may take to send the first of its announced messages.
const GRACE: Duration = Duration::from_millis(500);

/// How long the link to such a broker must be silent, if it has had credit for a while.
const QUIET: Duration = Duration::from_millis(20);

/// The number of earlier drains that a broker which answers early may not have ended yet.
const UNFINISHED: u8 = 2;

/// How long to wait before a question to such a broker is repeated.
const UNHEARD: Duration = Duration::from_millis(50);

/// How long the link to such a broker must be silent at the end.
const LATE: Duration = Duration::from_millis(40);

/// The meaning of an answer to a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Credit was granted in the meantime, or some is left: another answer follows.
    Early,
    /// The broker has sent all its messages.
    All,
    /// The next question, with this credit, must be sent.
    Again(u32),
}

impl Credit {
    /// For a broker that may answer a drain before it has sent all messages, because one of its
    /// threads looks for deliveries and another one ends the drain. If a delivery uses up the last
    /// credit, the client stops waiting for the end of the drain. That end still arrives later,
    /// takes away the credit of the next question, and looks like its answer. Therefore, if nothing
    /// arrived, the client asks again, and the link must be silent for a moment at the end. The
    /// broker may also miss a question that arrives before such an end is finished, so it is
    /// repeated.
    pub fn answered_early(&mut self, early: bool) {
        self.early = early;
    }

    /// Asks whether there is more than the `held` unsettled deliveries. Returns the credit to send
    /// with a drain, if the question must be sent now.
    pub fn ask(&mut self, held: u32, now: Instant) -> Option<u32> {
        if !self.mode.renews() {
            return None;
        }
        if self.whole_windows {
            self.expect_within(QUIET, now);
            return None;
        }
        if self.drain != Drain::None {
            self.drain = Drain::AskedAgain;
            return None;
        }
        // (2)
        let free = self.prefetch().saturating_sub(held);
        let free = free.min(if self.mode.is_careful() { 1 } else { u32::MAX });
        let credit = free.max(self.granted);
        if credit == 0 {
            return None;
        }
        self.grant(credit);
        self.drain = Drain::Asked;
        self.expect_an_end(now);
        Some(credit)
    }

    /// Whether everything that the broker had at the last question has arrived.
    pub fn is_answered(&self, now: Instant) -> bool {
        self.drain == Drain::None && !self.is_expected(now)
    }

    /// Handles the answer to a drain: the broker has advanced its delivery-count by the credit that
    /// was left. `may_ask`: another question could be sent now.
    pub fn on_drained(
        &mut self,
        (delivery_count, credit): (Option<u32>, u32),
        held: u32,
        may_ask: bool,
        now: Instant,
    ) -> Answer {
        if credit > 0 {
            return Answer::Early;
        }
        if let Some(delivery_count) = delivery_count {
            self.skip_to(delivery_count);
        }
        // The answer to an earlier drain may arrive after credit was granted again.
        if self.granted > 0 {
            return Answer::Early;
        }
        self.mode.drained();
        let ended = std::mem::take(&mut self.drain);
        self.expected = None;
        let again = match ended {
            Drain::None => None,
            Drain::AskedAgain => Some(Drain::Asked),
            Drain::Asked => self.early.then_some(Drain::Confirming(1)),
            Drain::Confirming(times) => {
                (times < UNFINISHED).then_some(Drain::Confirming(times + 1))
            }
        };
        if let Some(drain) = again.filter(|_| may_ask) {
            if let Some(credit) = self.ask(held, now) {
                self.drain = drain;
                return Answer::Again(credit);
            }
        }
        if self.early && ended != Drain::None {
            // Late deliveries use the credit that is granted now.
            self.expect_within(LATE, now);
        }
        Answer::All
    }

    /// Ends a drain without its answer if a delivery used up the last credit, because the answer
    /// would say nothing more. True if a drain was in progress.
    pub(super) fn ends_drain_without_any(&mut self) -> bool {
        let ends = self.granted == 0 && self.drain != Drain::None;
        if ends {
            self.drain = Drain::None;
            self.expected = None;
        }
        ends
    }

    /// For a broker that does not drain: after a grant, its messages should arrive soon.
    pub(super) fn expect_after_grant(&mut self, now: Instant) {
        if self.whole_windows {
            self.expect_within(GRACE, now);
        }
    }

    /// Such a broker answers a grant with the number of available messages, and sends them
    /// afterwards. True if there are none.
    pub fn on_available(&mut self, available: Option<u32>, now: Instant) -> bool {
        let has_none = self.whole_windows && available == Some(0);
        if has_none {
            self.expected = None;
        } else if self.whole_windows {
            self.expect_within(GRACE, now);
        }
        has_none
    }

    /// After a delivery, others may follow.
    pub fn expect_after_delivery(&mut self, now: Instant) {
        if self.expected.is_some() {
            self.expected = Some(now + QUIET);
        }
    }

    /// The credit to send again if the broker may have missed a question.
    pub fn ask_again(&mut self, now: Instant) -> Option<u32> {
        let is_asked = self.early && self.drain != Drain::None && self.granted > 0;
        if !is_asked || self.is_expected(now) {
            return None;
        }
        self.expect_an_end(now);
        Some(self.granted)
    }

    /// Starts waiting for the end of a drain, which may take long.
    fn expect_an_end(&mut self, now: Instant) {
        self.expected = self.early.then(|| now + UNHEARD);
    }

    fn is_expected(&self, now: Instant) -> bool {
        self.expected.is_some_and(|at| at > now)
    }

    fn expect_within(&mut self, time: Duration, now: Instant) {
        self.expected = self.expected.max(Some(now + time));
    }
}
