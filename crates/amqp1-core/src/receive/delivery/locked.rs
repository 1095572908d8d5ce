//! A job that the broker has locked for its worker.

use super::{Delivery, Outcome};
use crate::base::wait::Wait;
use crate::brokers::seams::companion::holding::{Locked, Settlement};
use crate::error::{Error, ErrorKind, Result};
use crate::job::failure::Failure;

impl Delivery {
    /// The broker's lock, by which it is settled.
    pub(super) fn locked(&self) -> Option<Locked<'_>> {
        Some(Locked {
            link: &self.link,
            address: &self.link.address,
            delivery_id: (!self.is_deferred).then_some(self.delivery_id),
            lock: self.lock?,
            reach: &*self.definition,
        })
    }

    /// Settles by the lock.
    pub(super) fn settle_locked(
        &self,
        locked: &Locked<'_>,
        settlement: &Settlement<'_>,
        wait: &Wait<'_>,
    ) -> Result<()> {
        match &self.link.holding {
            Some(holding) => holding.settle(locked, settlement, wait),
            None => Ok(()),
        }
    }

    /// Whether its lock is known to be lost, without asking the broker; `None` if it has none.
    pub(super) fn has_lost_lock(&self) -> Option<bool> {
        let locked = self.locked()?;
        Some(self.link.holding.as_ref()?.is_lost(&locked))
    }

    /// Moves it to the broker's own dead-letter queue.
    pub(super) fn dead_letter_there(
        &self,
        locked: &Locked<'_>,
        (reason, failure, description): (&str, Option<&Failure>, Option<&str>),
        outcome: Outcome,
        wait: &Wait<'_>,
    ) -> Result<()> {
        if !self.complete(outcome) {
            return Ok(());
        }
        let settlement = Settlement::DeadLetter {
            reason,
            description: description
                .or(failure.map(|failure| failure.message.as_str()))
                .unwrap_or_default(),
            exception: failure.and_then(|failure| failure.exception.as_deref()),
            queue: &self.definition.broker_queue,
            attempts: self.known_attempts(),
        };
        self.given_back(self.settle_locked(locked, &settlement, wait))
    }

    /// Settling by a lock waits for an answer; whether this error means that there was none.
    pub(super) fn is_unanswered(&self, error: &Error) -> bool {
        self.locked().is_some() && error.kind() != ErrorKind::TaskLost
    }

    /// Handles a lost delivery: it will be delivered again, so this is no error, and there is no
    /// outcome.
    pub(super) fn given_back(&self, settled: Result<()>) -> Result<()> {
        if settled.is_err() {
            self.mark_lost();
        }
        match settled {
            Err(error) if matches!(error.kind(), ErrorKind::TaskLost | ErrorKind::Connection) => {
                Ok(())
            }
            done => done,
        }
    }

    /// Stops renewing its lock.
    pub(super) fn forget_lock(&self) {
        if let (Some(lock), Ok(link)) = (&self.lock, self.own_link()) {
            if let Some(holding) = &link.holding {
                holding.forget(lock);
            }
        }
    }
}
