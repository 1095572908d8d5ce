//! The credit of a receiver: what the broker may send, and how far it has come.
//!
//! The numbers in parentheses are those of the receiver's invariants.

use std::time::Instant;

use super::mode::Mode;

/// A drain of a standing receiver: see [`super::drain`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Drain {
    /// None that is not answered.
    #[default]
    None,
    Asked,
    /// Somebody asked while one was under way, which may have missed what came since.
    AskedAgain,
    /// The broker has answered so often that there is nothing, and may have meant an earlier
    /// question: it is asked again.
    Confirming(u8),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Credit {
    pub mode: Mode,
    /// Deliveries that may be unsettled at once.
    prefetch: u32,
    /// See [`Credit::in_windows`].
    pub(super) whole_windows: bool,
    /// See [`Credit::answered_early`].
    pub(super) early: bool,
    /// What the broker may still send.
    pub(super) granted: u32,
    /// Taken back: deliveries that were already on their way use it.
    pub(super) revoked: u32,
    delivery_count: u32,
    /// Whether it was asked if there is more.
    pub(super) drain: Drain,
    /// Until when a broker that does not drain may take to send what it has, and one that
    /// answers early to end a drain, or to send what is late.
    pub(super) expected: Option<Instant>,
    /// The broker has said that nothing is on its way over the credit that was taken back.
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

    /// Granted when all of the last one is used up, not before: RabbitMQ 3
    /// counts credit from deliveries that it has not sent yet, and sends too many.
    pub fn in_windows(&mut self, whole_windows: bool) {
        self.whole_windows = whole_windows;
    }

    /// The broker's count to begin with.
    pub fn begin(&mut self, delivery_count: u32) {
        self.delivery_count = delivery_count;
    }

    pub fn delivery_count(&self) -> u32 {
        self.delivery_count
    }

    pub fn prefetch(&self) -> u32 {
        self.prefetch
    }

    /// What the broker may still send.
    pub fn granted(&self) -> u32 {
        self.granted
    }

    /// The broker may send something, be it over credit that was taken back (1).
    pub fn covers_one(&self) -> bool {
        self.granted > 0 || self.revoked > 0
    }

    /// A delivery used some. True when nobody needs to wait for the answer to a drain any more.
    pub fn spend(&mut self) -> bool {
        if self.granted == 0 {
            self.revoked = self.revoked.saturating_sub(1);
        }
        self.granted = self.granted.saturating_sub(1);
        // (3)
        self.delivery_count = self.delivery_count.wrapping_add(1);
        self.ends_drain_without_any()
    }

    /// The broker counts from the same delivery: what it may still send of the credit that was
    /// taken back is part of the new one (1).
    pub(super) fn grant(&mut self, credit: u32) {
        self.revoked = self.revoked.saturating_sub(credit - self.granted);
        self.granted = credit;
    }

    /// How much to grant now, when it is worth a flow frame. `held` deliveries are unsettled;
    /// `is_awaited`: PHP waits for the next one.
    pub fn renew(&mut self, held: u32, is_awaited: bool, now: Instant) -> Option<u32> {
        // (2)
        let free = self.prefetch.saturating_sub(held);
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
        // A drain's answer says how much of this credit was used.
        if self.drain != Drain::None || (self.whole_windows && self.granted > 0) {
            return None;
        }
        let missing = free.saturating_sub(self.granted);
        let worth = (self.prefetch / 2).max(1);
        (missing >= worth || (self.granted == 0 && missing > 0)).then(|| {
            self.grant(free);
            self.expect_after_grant(now);
            free
        })
    }

    /// For `count` deliveries, besides what was granted; never renewed.
    pub fn demand(&mut self, count: u32) {
        self.mode.demand();
        self.granted = self.granted.saturating_add(count);
    }

    /// The prefetch, zero while paused: takes effect with the next flow. True if it is another.
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

    /// No more deliveries are wanted, but for those on the way. False when there was no credit.
    pub fn revoke(&mut self) -> bool {
        let granted = std::mem::take(&mut self.granted);
        // (1)
        self.revoked += granted;
        self.quiet &= granted == 0;
        self.drain = Drain::None;
        self.expected = None;
        granted > 0
    }

    /// The broker has told its state, without a drain. What comes over credit that was taken back
    /// is no breach all the same: RabbitMQ 3 says that it has sent all, and sends. True when that
    /// is news.
    pub fn on_state(&mut self, delivery_count: Option<u32>, credit: u32) -> bool {
        let is_all = credit == 0 && delivery_count == Some(self.delivery_count);
        let is_news = is_all && self.granted == 0 && self.revoked > 0;
        self.quiet |= is_news;
        is_news
    }

    /// Nothing is on its way.
    pub fn is_quiet(&self) -> bool {
        self.granted == 0 && (self.revoked == 0 || self.quiet)
    }

    /// The broker has skipped so much of its credit: it counts as used (3). What skips more than
    /// was ever granted is ignored.
    pub(super) fn skip_to(&mut self, delivery_count: u32) {
        let skipped = delivery_count.wrapping_sub(self.delivery_count);
        if skipped <= self.granted.saturating_add(self.revoked) {
            let unused = skipped.min(self.granted);
            self.granted -= unused;
            // It came over credit that was taken back meanwhile.
            self.revoked -= skipped - unused;
            self.delivery_count = delivery_count;
        }
    }
}
