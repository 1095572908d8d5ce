//! A receiver's credit: how many deliveries the broker may send, and its delivery-count.
//!
//! The numbers in parentheses refer to the receiver's invariants.

use std::time::Instant;

use super::mode::Mode;

/// The state of a standing receiver's drain: see [`super::drain`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Drain {
    /// No unanswered drain.
    #[default]
    None,
    Asked,
    /// A caller asked during a drain, which may have missed deliveries that arrived since.
    AskedAgain,
    /// The broker has answered this many times that there is nothing. It may have meant an earlier
    /// question, so it is asked again.
    Confirming(u8),
}

#[derive(Debug)]
pub(super) struct Credit {
    pub mode: Mode,
    /// The most unsettled deliveries at once.
    prefetch: u32,
    /// See [`Credit::in_windows`].
    pub(super) whole_windows: bool,
    /// See [`Credit::answered_early`].
    pub(super) early: bool,
    /// Credit that the broker may still use.
    pub(super) granted: u32,
    /// Credit that was taken back, but that deliveries in flight may use.
    pub(super) revoked: u32,
    delivery_count: u32,
    /// Whether the broker was asked if there is more.
    pub(super) drain: Drain,
    /// Deadline for a broker that does not drain to send its messages, or for one that answers
    /// early to end a drain or to send late deliveries.
    pub(super) expected: Option<Instant>,
    /// Whether the broker has reported that nothing is in flight over revoked credit.
    quiet: bool,
}

impl Credit {
    pub fn new(prefetch: u32) -> Self {
        Self {
            mode: match prefetch {
                0 => Mode::Paused { careful: false },
                _ => Mode::Standing,
            },
            prefetch,
            whole_windows: false,
            early: false,
            granted: 0,
            revoked: 0,
            delivery_count: 0,
            drain: Drain::None,
            expected: None,
            quiet: false,
        }
    }

    /// Grants credit only when the previous credit is used up. RabbitMQ 3 counts new credit from
    /// deliveries that it has not sent yet, and so sends too many.
    pub fn in_windows(&mut self, whole_windows: bool) {
        self.whole_windows = whole_windows;
    }

    /// Sets the broker's initial delivery-count.
    pub fn begin(&mut self, delivery_count: u32) {
        self.delivery_count = delivery_count;
    }

    pub fn delivery_count(&self) -> u32 {
        self.delivery_count
    }

    pub fn prefetch(&self) -> u32 {
        self.prefetch
    }

    /// Credit that the broker may still use.
    pub fn granted(&self) -> u32 {
        self.granted
    }

    /// Whether the broker may send a delivery, even over revoked credit (1).
    pub fn covers_one(&self) -> bool {
        self.granted > 0 || self.revoked > 0
    }

    /// Counts a delivery. True if no caller needs to wait for the answer to a drain any more.
    pub fn spend(&mut self) -> bool {
        if self.granted == 0 {
            self.revoked = self.revoked.saturating_sub(1);
        }
        self.granted = self.granted.saturating_sub(1);
        // (3)
        self.delivery_count = self.delivery_count.wrapping_add(1);
        self.ends_drain_without_any()
    }

    /// Grants credit. The broker counts from the same delivery, so the new credit includes the
    /// revoked credit that it may still use (1).
    pub(super) fn grant(&mut self, credit: u32) {
        self.revoked = self.revoked.saturating_sub(credit - self.granted);
        self.granted = credit;
    }

    /// The credit to grant now, if it is worth a flow frame. `held` deliveries are unsettled;
    /// `is_awaited` is true if PHP waits for the next one.
    pub fn renew(&mut self, held: u32, is_awaited: bool, now: Instant) -> Option<u32> {
        let free = self.free(held);
        match self.mode {
            Mode::Paused { .. } | Mode::OnDemand { .. } => return None,
            Mode::Careful => {
                let is_busy = self.granted > 0 || self.drain != Drain::None;
                if !is_awaited || is_busy || free == 0 {
                    return None;
                }
                self.grant(1);
                return Some(1);
            }
            Mode::Standing => {}
        }
        self.is_low(held, is_awaited).then(|| {
            self.grant(free);
            self.expect_after_grant(now);
            free
        })
    }

    /// Whether enough credit is missing to be worth a flow: half of the prefetch while PHP has
    /// enough to do, and an eighth while it waits for the next delivery. What is not asked for by
    /// then cannot be on its way: with a prefetch of ten and half of it for each flow, only seven
    /// or eight deliveries were.
    pub fn is_low(&self, held: u32, is_awaited: bool) -> bool {
        // The answer to a drain will show how much of the credit was used.
        let is_busy = self.drain != Drain::None || (self.whole_windows && self.granted > 0);
        if self.mode != Mode::Standing || is_busy {
            return false;
        }
        let missing = self.free(held).saturating_sub(self.granted);
        let worth = self.prefetch / if is_awaited { 8 } else { 2 };
        missing >= worth.max(1) || (self.granted == 0 && missing > 0)
    }

    /// (2) The credit that the broker may have while `held` deliveries are unsettled.
    fn free(&self, held: u32) -> u32 {
        self.prefetch.saturating_sub(held)
    }

    /// Adds credit for `count` deliveries, which is never renewed.
    pub fn demand(&mut self, count: u32) {
        self.mode.demand();
        self.granted = self.granted.saturating_add(count);
    }

    /// Sets the prefetch, zero while paused; it takes effect with the next flow. True if it
    /// changed.
    pub fn set_prefetch(&mut self, prefetch: u32) -> bool {
        let changed = self.prefetch != prefetch;
        self.prefetch = prefetch;
        if prefetch == 0 {
            self.mode.pause();
            self.revoke();
        } else {
            self.mode.resume();
        }
        changed
    }

    /// Takes back credit beyond what is free after `held` deliveries. Returns the rest if there was
    /// more.
    pub fn shrink(&mut self, held: u32) -> Option<u32> {
        let free = self.free(held);
        let may = self.mode == Mode::Standing && self.drain == Drain::None && !self.whole_windows;
        if !may || self.granted <= free {
            return None;
        }
        // (1)
        self.revoked += self.granted - free;
        self.quiet = false;
        self.granted = free;
        Some(free)
    }

    /// Takes back all credit; only deliveries in flight may still arrive. False if there was no
    /// credit.
    pub fn revoke(&mut self) -> bool {
        let granted = std::mem::take(&mut self.granted);
        // (1)
        self.revoked += granted;
        self.quiet &= granted == 0;
        self.drain = Drain::None;
        self.expected = None;
        granted > 0
    }

    /// Handles the broker's state, reported without a drain. A delivery over revoked credit is
    /// still no violation afterwards: RabbitMQ 3 reports that it has sent everything, and then
    /// sends more. True if the report is new.
    pub fn on_state(&mut self, delivery_count: Option<u32>, credit: u32) -> bool {
        let is_all = credit == 0 && delivery_count == Some(self.delivery_count);
        let is_news = is_all && self.granted == 0 && self.revoked > 0;
        self.quiet |= is_news;
        is_news
    }

    /// Whether nothing is in flight.
    pub fn is_quiet(&self) -> bool {
        self.granted == 0 && (self.revoked == 0 || self.quiet)
    }

    /// Counts the credit that the broker has skipped as used (3). Ignores a skip that exceeds all
    /// credit ever granted.
    pub(super) fn skip_to(&mut self, delivery_count: u32) {
        let skipped = delivery_count.wrapping_sub(self.delivery_count);
        if skipped <= self.granted.saturating_add(self.revoked) {
            let unused = skipped.min(self.granted);
            self.granted -= unused;
            // It arrived over credit that was revoked in the meantime.
            self.revoked -= skipped - unused;
            self.delivery_count = delivery_count;
        }
    }
}
