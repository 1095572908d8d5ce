//! How often a job was tried.

use super::Delivery;

impl Delivery {
    /// 1 at the first delivery, and one more with each that somebody may have worked on.
    pub fn attempts(&self) -> u32 {
        let uncounted = self.decoded.history.uncounted(self.attached.ledger);
        let earlier = self.decoded.earlier_attempts.saturating_add(uncounted);
        earlier.saturating_add(1)
    }

    /// Deliveries of which nobody has told how they ended.
    fn unaccounted(&self) -> u32 {
        self.decoded.history.unaccounted(self.attached.ledger)
    }

    /// The attempt that this one is to the retry policy. Of the deliveries that ended without
    /// a word one may have been in a buffer; the others were handed out (see
    /// `connection::receiver::returns`).
    pub(super) fn known_attempts(&self) -> u32 {
        self.attempts() - self.unaccounted().min(1)
    }

    /// Its attempts are used up, and the last ones ended without a word: as far as is known
    /// it kills its workers, or outlasts the broker's patience.
    pub(crate) fn is_used_up(&self) -> bool {
        let retry = &self.attached.retry;
        !retry.keeps_lost && self.unaccounted() > 1 && retry.is_used_up(self.attempts() - 1)
    }
}
