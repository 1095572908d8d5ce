//! A lost delivery: it can no longer be settled, and will be delivered again.

use std::sync::atomic::Ordering;

use super::{Delivery, LOST};
use crate::error::Error;

impl Delivery {
    /// Whether it can no longer be settled and will be delivered again: its connection or its lock
    /// is lost, or the broker has taken it back. A settled delivery is not lost.
    pub fn is_lost(&self) -> bool {
        match self.settled.load(Ordering::Relaxed) {
            0 => self.has_gone(),
            settled => settled == LOST,
        }
    }

    fn has_gone(&self) -> bool {
        match self.own_link() {
            // A lock may outlive the link.
            Ok(link) => self
                .has_lost_lock()
                .unwrap_or_else(|| link.failed().is_some() || link.is_recalled(self.delivery_id)),
            Err(_) => true,
        }
    }

    /// Whether nothing can or must be done about it any more. This marks a lost delivery as such:
    /// the job arrives again as another delivery.
    pub(super) fn is_over(&self) -> bool {
        let lost = self.has_gone();
        if lost && !self.is_completed() {
            self.mark_lost();
            if self.lock.is_none() {
                // A delivery that was taken back must nevertheless be settled.
                let _ = self.own_link().map(|link| link.abandon(self.delivery_id));
            }
        }
        lost || self.is_completed()
    }

    pub(super) fn lost(&self, error: &Error) -> Error {
        let what = match self.is_unanswered(error) {
            true => "it is unknown whether it was settled, and it may be delivered again",
            false => "it can no longer be settled and will be delivered again",
        };
        Error::task_lost(format!(
            "job {} of {}: {what}: {error}",
            self.id(),
            self.definition.describe()
        ))
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.count_dropped();
        // Dropped unsettled: the broker delivers it again when its lock expires.
        if self.lock.is_some() {
            self.forget_lock();
        } else if !self.is_completed() {
            let _ = self.own_link().map(|link| link.abandon(self.delivery_id));
        }
    }
}
