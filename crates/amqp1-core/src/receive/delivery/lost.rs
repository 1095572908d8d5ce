//! A lost delivery: it can no longer be settled, and will be delivered again.

use std::sync::atomic::Ordering;

use super::{Delivery, LOST};
use crate::error::{Error, ErrorKind};
use crate::format::history::Ledger;
use crate::receive::attachment::link::SharedLink;
use crate::wire::state;

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
            self.let_go(true);
        }
        lost || self.is_completed()
    }

    /// Ends PHP's hold on an unsettled delivery. It is settled if nothing else is to come of it, so
    /// that its link can get another one: it is lost, or could not be settled otherwise. Any other
    /// one stays with its consumer.
    fn let_go(&self, is_lost: bool) {
        let Ok(link) = self.own_link() else {
            return;
        };
        match self.lock {
            // It did not come over the link, and is set aside again when its lock expires.
            Some(_) if self.is_deferred => {}
            Some(_) if is_lost || self.is_given_up.load(Ordering::Relaxed) => {
                let _ = link.settle(self.delivery_id, &state::released());
            }
            // The broker delivers it again when its lock expires.
            Some(_) => {}
            None if !is_lost && self.is_given_up.load(Ordering::Relaxed) => {
                self.return_failed(link);
            }
            None => link.abandon(self.delivery_id),
        }
    }

    /// Returns a job whose worker wanted to settle it and could not.
    fn return_failed(&self, link: &SharedLink) {
        let returned = match self.link.ledger {
            Ledger::Failed | Ledger::All => {
                state::modified(true, &[self.decoded.history.failed_again()])
            }
            Ledger::None | Ledger::Lost => state::released(),
        };
        // A lost delivery is already returned.
        let _ = link.settle(self.delivery_id, &returned);
    }

    /// Notes that a call to settle it has failed, so that it need not stay with its consumer once it
    /// is dropped.
    pub(super) fn note_failed(&self, error: &Error) {
        if !self.is_completed() && error.kind() != ErrorKind::Interrupted {
            self.is_given_up.store(true, Ordering::Relaxed);
        }
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
        let is_unsettled = !self.is_completed();
        let is_lost = is_unsettled && self.lock.is_some() && self.has_gone();
        if self.lock.is_some() {
            self.forget_lock();
        }
        if is_unsettled {
            self.is_out_of_hand();
            self.let_go(is_lost);
        }
    }
}
