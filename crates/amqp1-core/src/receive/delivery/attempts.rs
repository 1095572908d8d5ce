//! How often a job was tried.

use std::sync::atomic::Ordering;

use super::{Delivery, Outcome};
use crate::base::wait::Wait;
use crate::error::{ErrorKind, Result};
use crate::format::changes::Changes;
use crate::reach::destination::Destination;

/// So many deliveries before the broker's limit a job gets a count of its own: one that is lost
/// on the way to its handler counts as well.
const MARGIN: u32 = 2;

impl Delivery {
    /// 1 at the first delivery, and one more with each that somebody may have worked on.
    pub fn attempts(&self) -> u32 {
        let uncounted = self.decoded.history.uncounted(self.link.ledger);
        let earlier = self.decoded.earlier_attempts.saturating_add(uncounted);
        earlier.saturating_add(1)
    }

    /// Deliveries of which nobody has told how they ended.
    fn unaccounted(&self) -> u32 {
        self.decoded.history.unaccounted(self.link.ledger)
    }

    /// Of these, those that may have been in a buffer: the first one. The others were handed out
    /// (see `connection::receiver::returns`), but for a session's, whose jobs keep their
    /// order.
    fn doubtful(&self) -> u32 {
        match self.link.is_careful {
            true => self.unaccounted().min(1),
            false => self.unaccounted(),
        }
    }

    /// The attempt that this one is to the retry policy.
    pub(super) fn known_attempts(&self) -> u32 {
        self.attempts().saturating_sub(self.doubtful()).max(1)
    }

    /// Its attempts are used up, and the last ones ended without a word: as far as is known
    /// it kills its workers, or outlasts the broker's patience.
    pub(crate) fn is_used_up(&self) -> bool {
        let retry = &self.link.retry;
        let unaccounted = self.unaccounted();
        let has_ended_some = unaccounted > 1 && unaccounted > self.doubtful();
        !retry.keeps_lost && has_ended_some && retry.is_used_up(self.attempts() - 1)
    }

    /// One or two more deliveries that are lost, and the broker moves it away by itself, without
    /// a word of why.
    pub(crate) fn is_worn(&self) -> bool {
        let Some(limit) = self.link.dialect.delivery_limit() else {
            return false;
        };
        self.decoded.history.delivery_count() + MARGIN >= limit && self.is_replaceable()
    }

    fn is_replaceable(&self) -> bool {
        let dialect = self.link.dialect;
        // In a session a copy would be behind the others.
        self.link.is_careful
            && dialect.takes_jobs(self.source())
            && !self.link.keeps_worn.load(Ordering::Relaxed)
    }

    /// A copy takes its place, which the broker counts from none: it has the attempts. Where
    /// there can be none, it is as it is when it comes again.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`].
    pub(crate) fn renew(&self, wait: &Wait<'_>) -> Result<()> {
        let queue = Destination::Queue(self.definition.broker_queue.clone());
        let changes = Changes {
            attempts: self.attempts() - 1,
            lost: self.unaccounted(),
            expires_at: self.decoded.expires_at,
            ..Changes::default()
        };
        match self.replace(queue, &changes, Outcome::Released, wait) {
            Err(error) => {
                self.return_unseen();
                if error.kind() == ErrorKind::Interrupted {
                    return Err(error);
                }
                self.link.keeps_worn.store(true, Ordering::Relaxed);
                Ok(())
            }
            done => done,
        }
    }
}
