//! How often a job was tried.

use std::sync::atomic::Ordering;

use super::{Delivery, Outcome};
use crate::base::wait::Wait;
use crate::error::{ErrorKind, Result};
use crate::format::changes::Changes;
use crate::reach::destination::Destination;

/// This many deliveries before the broker's limit, a job is replaced by a copy with a count of its
/// own. More than one, because a delivery that is lost on the way to its handler also counts.
const MARGIN: u32 = 2;

impl Delivery {
    /// 1 at the first delivery, plus one for each earlier one that a worker may have processed.
    pub fn attempts(&self) -> u32 {
        let uncounted = self.decoded.history.uncounted(self.link.ledger);
        let earlier = self.decoded.earlier_attempts.saturating_add(uncounted);
        earlier.saturating_add(1)
    }

    /// Deliveries whose end is not recorded.
    fn unaccounted(&self) -> u32 {
        self.decoded.history.unaccounted(self.link.ledger)
    }

    /// How many of these may only have been in a buffer: the first one. The others were handed out
    /// (see `connection::receiver::returns`), except in a session, whose jobs keep their order.
    fn doubtful(&self) -> u32 {
        match self.link.is_careful {
            true => self.unaccounted().min(1),
            false => self.unaccounted(),
        }
    }

    /// The number of this attempt for the retry policy.
    pub(super) fn known_attempts(&self) -> u32 {
        self.attempts().saturating_sub(self.doubtful()).max(1)
    }

    /// Whether its attempts are used up and the last ones ended without an outcome. It
    /// presumably kills its workers or exceeds the broker's timeout.
    pub(crate) fn is_used_up(&self) -> bool {
        let retry = &self.link.retry;
        let unaccounted = self.unaccounted();
        let has_ended_some = unaccounted > 1 && unaccounted > self.doubtful();
        !retry.keeps_lost && has_ended_some && retry.is_used_up(self.attempts() - 1)
    }

    /// Whether the broker will move it away after one or two more lost deliveries, without
    /// recording why.
    pub(crate) fn is_worn(&self) -> bool {
        let Some(limit) = self.link.dialect.delivery_limit() else {
            return false;
        };
        self.decoded.history.delivery_count() + MARGIN >= limit && self.is_replaceable()
    }

    fn is_replaceable(&self) -> bool {
        let dialect = self.link.dialect;
        // In a session, a copy would come after the other jobs.
        self.link.is_careful
            && dialect.takes_jobs(self.source())
            && !self.link.keeps_worn.load(Ordering::Relaxed)
    }

    /// Replaces the job with a copy that carries the attempts, because the broker's count starts at
    /// zero for a copy. If no copy is possible, the job itself is delivered again.
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
        match self.replace_by("renew", queue, &changes, Outcome::Released, wait) {
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
