//! A delivery that is lost: nothing can be done about it any more, and it comes again.

use std::sync::atomic::Ordering;

use super::{Delivery, LOST};
use crate::error::Error;

impl Delivery {
    /// It can no longer be settled, and is delivered again: its connection or the service's
    /// lock on it is lost, or the broker has taken it back. What was settled is not lost.
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

    /// Nothing can or need be done about it any more. What is lost is settled by
    /// that: it comes again as another delivery.
    pub(super) fn is_over(&self) -> bool {
        let lost = self.has_gone();
        if lost && !self.is_completed() {
            self.settled.store(LOST, Ordering::Relaxed);
            if self.lock.is_none() {
                // What was taken back has to be settled all the same.
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
        // Dropped unsettled: the service delivers it again when its lock is over.
        if self.lock.is_some() {
            self.forget_lock();
        } else if !self.is_completed() {
            let _ = self.own_link().map(|link| link.abandon(self.delivery_id));
        }
    }
}
