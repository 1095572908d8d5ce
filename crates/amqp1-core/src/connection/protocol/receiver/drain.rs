//! Asking the broker whether it has more: the receiver's part of a drain (2.6.7).
//!
//! A standing receiver has credit, and silence may mean that the queue is empty or that
//! a delivery is on its way. A drain tells the two apart: the broker sends what it has
//! and then says that it has used up the credit. It costs one round trip, and the credit
//! is granted again as soon as the answer is here.

use std::time::{Duration, Instant};

use super::credit::{Credit, Drain};

/// How long a broker that does not drain may take for the first of what it says it has.
const GRACE: Duration = Duration::from_millis(500);

/// How long the link of such a broker, which has had credit for a while, must be silent.
const QUIET: Duration = Duration::from_millis(20);

/// Earlier questions that a broker which answers early may not have ended.
const UNFINISHED: u8 = 2;

/// After how long a question to such a broker is put again.
const UNHEARD: Duration = Duration::from_millis(50);

/// How long the link of such a broker must be silent in the end.
const LATE: Duration = Duration::from_millis(40);

/// What an answer to a drain means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Credit was granted meanwhile, or there is some left: another answer follows.
    Early,
    /// The broker has sent what it had.
    All,
    /// The next question, with so much credit, is to be sent.
    Again(u32),
}

impl Credit {
    /// The broker may answer a drain before it has sent what it has: it looks for deliveries on
    /// one thread and ends the drain on another. When the last of the credit is used up by
    /// a delivery, nobody waits for that end; it comes all the same, takes away the credit
    /// of the next question, and looks like its answer. So a link on which nothing
    /// came is asked again, and has to be silent for a moment in the end. A question that is put
    /// before such an end is done may not be heard at all: it is put again.
    pub fn answered_early(&mut self, early: bool) {
        self.early = early;
    }

    /// Asks whether there is more than the `held` that are not settled: the credit to tell
    /// the broker with a drain, if the question is to be sent now.
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

    /// What the broker had when it was last asked has come.
    pub fn is_answered(&self, now: Instant) -> bool {
        self.drain == Drain::None && !self.is_expected(now)
    }

    /// The broker's answer to a drain: it has advanced its delivery-count over the credit
    /// that was left. `may_ask`: another question could be sent now.
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
        // The answer to an earlier drain may come after credit was granted again.
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
            // What is late comes with the credit that is granted now.
            self.expect_within(LATE, now);
        }
        Answer::All
    }

    /// The last of the credit was used up by a delivery: the answer tells nothing more. True when
    /// one was waited for.
    pub(super) fn ends_drain_without_any(&mut self) -> bool {
        let ends = self.granted == 0 && self.drain != Drain::None;
        if ends {
            self.drain = Drain::None;
            self.expected = None;
        }
        ends
    }

    /// Credit was granted to a broker that does not drain: what it has comes soon.
    pub(super) fn expect_after_grant(&mut self, now: Instant) {
        if self.whole_windows {
            self.expect_within(GRACE, now);
        }
    }

    /// Such a broker answers a grant with how much it has, and sends that afterwards. True when
    /// that is nothing.
    pub fn on_available(&mut self, available: Option<u32>, now: Instant) -> bool {
        let has_none = self.whole_windows && available == Some(0);
        if has_none {
            self.expected = None;
        } else if self.whole_windows {
            self.expect_within(GRACE, now);
        }
        has_none
    }

    /// A delivery has come: others may be behind it.
    pub fn expect_after_delivery(&mut self, now: Instant) {
        if self.expected.is_some() {
            self.expected = Some(now + QUIET);
        }
    }

    /// The broker may not have heard a question: the credit to tell it again, if so.
    pub fn ask_again(&mut self, now: Instant) -> Option<u32> {
        let is_asked = self.early && self.drain != Drain::None && self.granted > 0;
        if !is_asked || self.is_expected(now) {
            return None;
        }
        self.expect_an_end(now);
        Some(self.granted)
    }

    /// A question is put, and its end may be a long time coming.
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
