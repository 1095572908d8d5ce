//! A job that Service Bus has locked for its worker.

use std::sync::atomic::Ordering;

use super::{Delivery, Outcome, LOST};
use crate::base::wait::Wait;
use crate::brokers::servicebus::settle::{lost_is_given_back, PeekLock, Settlement};
use crate::error::{Error, ErrorKind, Result};
use crate::job::failure::Failure;

impl Delivery {
    /// The service's lock, by which it is settled.
    pub(super) fn peek_lock(&self) -> Option<PeekLock<'_>> {
        let source = self.attached.service_bus.as_ref()?;
        Some(PeekLock {
            link: &self.attached,
            source,
            delivery_id: self.delivery_id,
            lock: self.lock?,
            reach: &*self.definition,
        })
    }

    /// To the service's own dead-letter queue.
    pub(super) fn dead_letter_there(
        &self,
        lock: &PeekLock<'_>,
        reason: &str,
        failure: Option<&Failure>,
        description: Option<&str>,
        wait: &Wait<'_>,
    ) -> Result<()> {
        if !self.complete(Outcome::DeadLettered) {
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
        self.given_back(lock.settle(&settlement, wait))
    }

    /// Over a lock of the service an answer is awaited: this error says that there was none.
    pub(super) fn is_unanswered(&self, error: &Error) -> bool {
        self.peek_lock().is_some() && error.kind() != ErrorKind::TaskLost
    }

    /// What is lost comes again: no error, and no outcome.
    pub(super) fn given_back(&self, settled: Result<()>) -> Result<()> {
        if settled.is_err() {
            self.settled.store(LOST, Ordering::Relaxed);
        }
        lost_is_given_back(settled)
    }

    /// Its lock is renewed no more.
    pub(super) fn forget_lock(&self) {
        if let (Some(lock), Ok(link)) = (&self.lock, self.link()) {
            if let Some(locks) = link.service_bus.as_ref().and_then(|source| source.locks()) {
                locks.forget(lock);
            }
        }
    }
}
