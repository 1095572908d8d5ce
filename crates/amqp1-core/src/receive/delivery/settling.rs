//! Ways to settle a job beside done and failed: drop it, reject it, set it aside, keep it longer.

use super::{Delivery, Outcome};
use crate::base::wait::Wait;
use crate::brokers::seams::companion::holding::Settlement;
use crate::error::{Error, ErrorKind, Result};
use crate::job::failure::bounded;
use crate::wire::state;

/// The reason of a rejected job, where a broker needs one.
const REJECTED: &str = "rejected";

/// The condition that carries a reason in AMQP's `rejected`.
const CONDITION: &str = "amqp1:rejected";

impl Delivery {
    /// Settles the job as done although it was not, on purpose.
    ///
    /// # Errors
    /// As [`Delivery::ack`].
    pub fn discard(&self, wait: &Wait<'_>) -> Result<()> {
        match self.complete(Outcome::Discarded) {
            true => self.acked(self.accept(wait)),
            false => Ok(()),
        }
    }

    /// Rejects the job: AMQP's `rejected`, which the broker answers by dead-lettering it. Does
    /// nothing if the delivery is lost.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] if the broker would drop it instead; the job then stays
    /// unsettled.
    pub fn reject(
        &self,
        reason: Option<&str>,
        description: Option<&str>,
        wait: &Wait<'_>,
    ) -> Result<()> {
        if self.is_over() {
            return Ok(());
        }
        if let Some(locked) = self.locked() {
            let brokers = self.link.dialect.dead_letter_queue(self.source());
            if brokers.as_deref() == Some(self.source()) {
                return Err(self.unsupported("reject()", "it is in the dead-letter queue already; use ack() to remove it, release() to leave it, or AmqpQueue::retryFailed() to move it back"));
            }
            let reason = reason.unwrap_or(REJECTED);
            let why = (reason, None, description);
            return self.dead_letter_there(&locked, why, Outcome::Rejected, wait);
        }
        if !self.link.dialect.dead_letters_rejected() {
            return Err(self.unsupported("reject()", "it is not known whether this broker keeps rejected jobs; use deadLetter() for the failed queue, or discard() to drop the job"));
        }
        if !self.keeps_rejected(wait)? {
            return Err(self.unsupported("reject()", "the queue has no dead-letter exchange, so the broker would drop the job; declare the queue with the option 'dead_letter_exchange' (if a policy sets it, name it with 'declare' => false), use deadLetter() for the failed queue, or discard() to drop the job"));
        }
        if !self.complete(Outcome::Rejected) {
            return Ok(());
        }
        let Ok(link) = self.own_link() else {
            return Ok(());
        };
        let text = [reason, description].into_iter().flatten();
        let text = text.collect::<Vec<_>>().join(": ");
        let state = match text.is_empty() {
            true => state::refused(),
            false => state::rejected(CONDITION, bounded(&text)),
        };
        self.given_back(link.settle(self.delivery_id, &state))
    }

    fn keeps_rejected(&self, wait: &Wait<'_>) -> Result<bool> {
        if let Some(known) = self.link.keeps_rejected.get() {
            return Ok(*known);
        }
        let found = self.definition.keeps_rejected(wait)?;
        Ok(*self.link.keeps_rejected.get_or_init(|| found))
    }

    /// Sets the job aside: it is received again only by its number. Does nothing if the delivery is
    /// lost.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] if the broker cannot do it.
    pub fn defer(&self, wait: &Wait<'_>) -> Result<()> {
        let Some(locked) = self.locked() else {
            return Err(self.unsupported(
                "defer()",
                "only Service Bus sets jobs aside; use release() with a delay",
            ));
        };
        if self.is_over() || !self.complete(Outcome::Deferred) {
            return Ok(());
        }
        self.given_back(self.settle_locked(&locked, &Settlement::Defer, wait))
    }

    /// Renews the broker's lock, so that the job stays with its worker. Does nothing if there is no
    /// limit to how long a worker may hold it, or if it is settled.
    ///
    /// # Errors
    /// [`crate::ErrorKind::TaskLost`] if the delivery is lost; [`crate::ErrorKind::Unsupported`] if
    /// the limit cannot be moved.
    pub fn renew_lock(&self, wait: &Wait<'_>) -> Result<()> {
        if self.outcome().is_some() {
            return Ok(());
        }
        if self.is_over() {
            return Err(self.lost(&Error::task_lost("its delivery has ended")));
        }
        if let (Some(locked), Some(holding)) = (self.locked(), &self.link.holding) {
            return holding
                .renew(&locked, wait)
                .map_err(|error| match error.kind() {
                    ErrorKind::TaskLost => {
                        self.is_over();
                        self.lost(&error)
                    }
                    _ => error,
                });
        }
        match self.is_timed(wait)? {
            true => Err(self.unsupported("renew()", "RabbitMQ's consumer timeout cannot be renewed; set the option 'consumer_timeout' to the longest time that a job takes")),
            false => Ok(()),
        }
    }

    /// When the broker's lock ends, in Unix milliseconds; `None` if it has none.
    pub fn locked_until(&self) -> Option<i64> {
        if self.is_completed() {
            return None;
        }
        self.link.holding.as_ref()?.locked_until(&self.lock?)
    }

    /// Whether the broker takes the job back after a time.
    fn is_timed(&self, wait: &Wait<'_>) -> Result<bool> {
        if self.link.timeout.is_none() {
            return Ok(false);
        }
        let queue_type = self.definition.queue_type(wait)?;
        let property = self
            .link
            .dialect
            .consumer_timeout_property(self.link.remote(), queue_type.as_deref());
        Ok(property.is_some())
    }

    fn unsupported(&self, what: &str, why: &str) -> Error {
        let error = Error::unsupported(format!(
            "job {} of {}: {what} is not supported: {why}",
            self.id(),
            self.definition.describe()
        ));
        self.note_failed(&error);
        error
    }
}
