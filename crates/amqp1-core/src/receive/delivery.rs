//! A job that a worker holds.

mod attempts;
mod carried;
mod copies;
mod counted;
mod locked;
mod lost;
mod reading;
mod replying;
mod settling;

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::clock::now_millis;
use crate::base::fork;
use crate::base::wait::Wait;
use crate::brokers::seams::companion::holding::{Lock, Settlement};
use crate::error::{Error, ErrorKind, Result};
use crate::format::changes::{Changes, FailureChange};
use crate::format::envelope::due;
use crate::format::history::{Ledger, RELEASED, RELEASED_PROPERTY};
use crate::format::{self, Decoded};
use crate::job::failure::{bounded, Failure, FailureFacts};
use crate::job::HeaderValue;
use crate::reach::definition::Definition;
use crate::reach::destination::Destination;
use crate::receive::attachment::link::SharedLink;
use crate::settings::retry::{FailedQueue, Redelivery, Verdict};
use crate::wire::state;

/// The reason of jobs whose attempts are used up.
const FAILED: &str = "failed";

/// Stands for a delivery that was lost before it was settled.
const LOST: u8 = u8::MAX;

/// How a job was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// Done.
    Acked = 1,
    /// Failed, and will be retried.
    Retried = 2,
    /// Returned by its worker.
    Released = 3,
    /// Moved to the failed queue.
    DeadLettered = 4,
    /// Rejected, for the broker's dead-letter exchange or queue.
    Rejected = 5,
    /// Done away with on purpose.
    Discarded = 6,
    /// Set aside, to be received by its number.
    Deferred = 7,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Outcome; 7] = [
        Outcome::Acked,
        Outcome::Retried,
        Outcome::Released,
        Outcome::DeadLettered,
        Outcome::Rejected,
        Outcome::Discarded,
        Outcome::Deferred,
    ];

    /// The outcome's name in PHP.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Acked => "acked",
            Outcome::Retried => "retried",
            Outcome::Released => "released",
            Outcome::DeadLettered => "dead_lettered",
            Outcome::Rejected => "rejected",
            Outcome::Discarded => "discarded",
            Outcome::Deferred => "deferred",
        }
    }
}

/// A job. If it is dropped unsettled, it is delivered again: at once if a call to settle it has
/// failed, otherwise when its consumer closes or its lock expires.
#[derive(Debug)]
pub struct Delivery {
    decoded: Decoded,
    definition: Arc<Definition>,
    link: Arc<SharedLink>,
    delivery_id: u32,
    /// The broker's lock on it.
    lock: Option<Lock>,
    /// It was set aside and did not come over the link, so `delivery_id` has no meaning.
    is_deferred: bool,
    /// An [`Outcome`], [`LOST`], or zero.
    settled: AtomicU8,
    /// When PHP got it.
    handed_out: Cell<Option<Instant>>,
    /// A call to settle it has failed.
    is_given_up: AtomicBool,
    generation: u64,
}

impl Delivery {
    #[inline]
    pub(crate) fn new(
        decoded: Decoded,
        definition: Arc<Definition>,
        link: Arc<SharedLink>,
        (delivery_id, lock): (u32, Option<Lock>),
        settled: bool,
    ) -> Self {
        Self {
            decoded,
            definition,
            link,
            delivery_id,
            lock,
            is_deferred: false,
            settled: AtomicU8::new(if settled { Outcome::Acked as u8 } else { 0 }),
            handed_out: Cell::new(None),
            is_given_up: AtomicBool::new(false),
            generation: fork::generation(),
        }
    }

    /// A job that was set aside and is now held by this lock.
    pub(crate) fn deferred(
        decoded: Decoded,
        definition: Arc<Definition>,
        link: Arc<SharedLink>,
        lock: Lock,
    ) -> Self {
        let ids = (0, Some(lock));
        let mut deferred = Self::new(decoded, definition, link, ids, false);
        deferred.is_deferred = true;
        deferred.link.deferred.fetch_add(1, Ordering::Relaxed);
        deferred
    }

    /// Whether it was settled, in any way, or on receipt.
    pub fn is_completed(&self) -> bool {
        self.settled.load(Ordering::Relaxed) != 0
    }

    /// Its outcome; `None` while it is unsettled, or if it was lost.
    pub fn outcome(&self) -> Option<Outcome> {
        Outcome::ALL
            .into_iter()
            .find(|outcome| *outcome as u8 == self.settled.load(Ordering::Relaxed))
    }

    /// Records that PHP gets it.
    pub(crate) fn hand_out(&self, now: Instant) {
        self.handed_out.set(Some(now));
        self.count_handed_out();
    }

    /// How long PHP has had it.
    pub fn held(&self) -> Duration {
        let since = self.handed_out.get();
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The deadline of settlements that wait for the broker.
    pub fn timeout(&self) -> Duration {
        self.definition.options.timeout
    }

    /// True only for the first settlement.
    fn complete(&self, outcome: Outcome) -> bool {
        let first =
            self.settled
                .compare_exchange(0, outcome as u8, Ordering::Relaxed, Ordering::Relaxed);
        if first.is_ok() {
            self.is_out_of_hand();
            self.count_settled(outcome);
        }
        first.is_ok()
    }

    fn own_link(&self) -> Result<&SharedLink> {
        if self.generation != fork::generation() {
            return Err(Error::connection("it belongs to the parent process"));
        }
        Ok(&self.link)
    }

    /// Tells the broker that it is done.
    fn accept(&self, wait: &Wait<'_>) -> Result<()> {
        let link = self.own_link()?;
        match self.locked() {
            Some(locked) => self.settle_locked(&locked, &Settlement::Complete, wait),
            None => link.accept(self.delivery_id),
        }
    }

    /// Acknowledges the job as done. The broker is told within milliseconds, together with others.
    /// A locked job is settled at once, and confirmed when this method returns.
    ///
    /// # Errors
    /// [`ErrorKind::TaskLost`] if the delivery was lost with its connection or its lock.
    pub fn ack(&self, wait: &Wait<'_>) -> Result<()> {
        match self.complete(Outcome::Acked) {
            true => self.acked(self.accept(wait)),
            false => Ok(()),
        }
    }

    /// Whether [`Delivery::ack_at_once`] is possible, because the job is not locked.
    pub fn can_ack_at_once(&self) -> bool {
        self.lock.is_none()
    }

    /// [`Delivery::ack`] of a job that is not locked, which waits for nothing.
    ///
    /// # Errors
    /// As [`Delivery::ack`].
    pub fn ack_at_once(&self) -> Result<()> {
        match self.complete(Outcome::Acked) {
            true => {
                let link = self.own_link();
                self.acked(link.and_then(|link| link.accept(self.delivery_id)))
            }
            false => Ok(()),
        }
    }

    fn acked(&self, accepted: Result<()>) -> Result<()> {
        accepted.map_err(|error| match error.kind() {
            ErrorKind::Interrupted => error,
            _ => {
                self.mark_lost();
                self.lost(&error)
            }
        })
    }

    /// Marks the job as failed. By the retry policy it is retried after a pause, with the attempt
    /// counted, or goes to the failed queue; `requeue` overrides the policy. Does nothing if the
    /// delivery is lost.
    ///
    /// # Errors
    /// The error of a copy, if one is needed; the job then stays unsettled.
    pub fn nack(
        &self,
        failure: Option<&Failure>,
        requeue: Option<bool>,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let retry = &self.link.retry;
        let done = match retry.verdict(self.known_attempts(), requeue) {
            Verdict::Fail => self.dead_letter(FAILED, failure, None, wait),
            Verdict::Retry(pause) => match self.again(pause, (&[], None), Outcome::Retried, wait) {
                // The broker cannot delay, and these pauses are only the defaults.
                Err(error)
                    if error.kind() == ErrorKind::Unsupported && retry.is_backoff_usual() =>
                {
                    self.again(Duration::ZERO, (&[], None), Outcome::Retried, wait)
                }
                done => done,
            },
        };
        done.inspect_err(|error| self.note_failed(error))
    }

    /// Returns the job to the queue, after `delay`, with headers added or replaced, and a reason;
    /// counts as an attempt. Does nothing if the delivery is lost.
    ///
    /// # Errors
    /// The error of the copy, if one is needed (for headers, or a delay that the broker lacks for
    /// redeliveries); the job then stays unsettled.
    pub fn release(
        &self,
        delay: Duration,
        headers: &[(Cow<'_, str>, HeaderValue<'_>)],
        reason: Option<&str>,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let reason = reason.map(bounded);
        let released = self.again(delay, (headers, reason), Outcome::Released, wait);
        match released {
            // A full queue accepts no copy. Nothing but the count depends on one here, and a job
            // that cannot be returned would stay with its consumer until that closes.
            Err(error)
                if delay.is_zero()
                    && headers.is_empty()
                    && self.locked().is_none()
                    && !self.is_completed()
                    && error.kind() != ErrorKind::Interrupted =>
            {
                self.return_unseen();
                Ok(())
            }
            released => released.inspect_err(|error| self.note_failed(error)),
        }
    }

    fn again(
        &self,
        delay: Duration,
        (headers, reason): (&[(Cow<'_, str>, HeaderValue<'_>)], Option<&str>),
        outcome: Outcome,
        wait: &Wait<'_>,
    ) -> Result<()> {
        if self.is_over() {
            return Ok(());
        }
        // A deferred job that is given back stays deferred.
        let redelivery = match headers.is_empty() && !self.is_deferred {
            true => self.link.redelivery(&self.definition, wait)?,
            false => Redelivery::Uncounted,
        };
        match redelivery {
            Redelivery::Counted | Redelivery::Delayed if delay.is_zero() => {
                self.give_back(&[], reason, outcome, wait)?;
            }
            Redelivery::Delayed => {
                let at = due(now_millis(), delay);
                self.give_back(&[("x-opt-delivery-time", at)], reason, outcome, wait)?;
            }
            _ if !self.link.dialect.takes_jobs(self.source()) => {
                if !headers.is_empty() {
                    return Err(Error::unsupported(format!(
                        "job {} of {}: headers cannot be changed here, because jobs cannot be sent to a subscription or a dead-letter queue",
                        self.id(),
                        self.definition.describe()
                    )));
                }
                self.give_back(&[], reason, outcome, wait)?;
            }
            Redelivery::Counted | Redelivery::Uncounted => {
                let queue = Destination::Queue(self.definition.broker_queue.clone());
                let changes = Changes {
                    delay,
                    headers,
                    reason,
                    attempts: self.known_attempts(),
                    expires_at: self.decoded.expires_at,
                    ..Changes::default()
                };
                self.replace(queue, &changes, outcome, wait)?;
            }
        }
        Ok(())
    }

    /// Moves the job to the failed queue of the retry policy, with reason, error, exception class,
    /// original queue, attempts and time. Does nothing if the delivery is lost.
    ///
    /// # Errors
    /// The error of the copy to the failed queue; the job then stays unsettled.
    pub fn dead_letter(
        &self,
        reason: &str,
        failure: Option<&Failure>,
        description: Option<&str>,
        wait: &Wait<'_>,
    ) -> Result<()> {
        if self.is_over() {
            return Ok(());
        }
        let configured = self.link.retry.failed_queue();
        if let Some(locked) = self.locked() {
            let brokers = self.link.dialect.dead_letter_queue(self.source());
            if brokers.as_deref() == Some(self.source()) {
                // It is already in that queue.
                return self.give_back(&[], None, Outcome::DeadLettered, wait);
            }
            if !matches!(configured, FailedQueue::Named(_)) {
                let why = (reason, failure, description);
                return self.dead_letter_there(&locked, why, Outcome::DeadLettered, wait);
            }
        }
        let error = description.or(failure.map(|failure| failure.message.as_str()));
        let exception = failure.and_then(|failure| failure.exception.as_deref());
        let facts = FailureFacts {
            reason: bounded(reason).to_owned(),
            error: error.map(|text| bounded(text).to_owned()),
            exception: exception.map(|text| bounded(text).to_owned()),
            queue: Some(self.definition.broker_queue.clone()),
            attempts: self.known_attempts(),
            failed_at: Some(now_millis()),
        };
        let changes = Changes {
            attempts: self.known_attempts(),
            failure: FailureChange::Set(&facts),
            ..Changes::default()
        };
        let name = self.definition.failed_queue(configured)?;
        let queue = Destination::Queue(name);
        let replaced = self.replace(queue, &changes, Outcome::DeadLettered, wait);
        replaced.inspect_err(|error| self.note_failed(error))
    }

    /// Why it is in a failed queue; `None` if it is not in one.
    pub fn failure(&self) -> Option<FailureFacts> {
        format::failure(&self.decoded)
    }

    /// When it failed, in Unix milliseconds.
    pub(crate) fn failed_at(&self) -> Option<i64> {
        self.failure()?.failed_at
    }

    /// Settles a job whose copy is in another queue. Does nothing if the delivery is lost: it will
    /// be delivered again.
    pub(crate) fn leave(&self, wait: &Wait<'_>) {
        if self.complete(Outcome::Acked) {
            let _ = self.accept(wait);
        }
    }

    /// Rejects the job for good. Does nothing if the delivery is lost: it will be delivered again.
    pub(crate) fn reject_as(&self, condition: &str, description: &str) {
        // The lock of a deferred one expires.
        if !self.is_deferred && self.complete(Outcome::DeadLettered) {
            self.forget_lock();
            if let Ok(link) = self.own_link() {
                let _ = link.settle(self.delivery_id, &state::rejected(condition, description));
            }
        }
    }

    /// Returns a job that no worker has seen to the queue, at once. A locked job is delivered again
    /// when its consumer closes, or its lock expires.
    pub fn return_unseen(&self) {
        if self.locked().is_none() && self.complete(Outcome::Released) {
            let given_back = match self.link.ledger {
                Ledger::All => {
                    let annotation = self.decoded.history.returned_again();
                    state::modified(false, &[annotation])
                }
                Ledger::None | Ledger::Lost | Ledger::Failed => state::released(),
            };
            if let Ok(link) = self.own_link() {
                // A lost delivery is already returned.
                let _ = link.settle(self.delivery_id, &given_back);
            }
        }
    }

    /// Returns the job to the broker, counted as a failed delivery.
    fn give_back(
        &self,
        annotations: &[(&str, i64)],
        reason: Option<&str>,
        outcome: Outcome,
        wait: &Wait<'_>,
    ) -> Result<()> {
        if !self.complete(outcome) {
            return Ok(());
        }
        // A lost delivery is already returned.
        let Ok(link) = self.own_link() else {
            return Ok(());
        };
        if let Some(locked) = self.locked() {
            let abandon = Settlement::Abandon {
                count: self.decoded.history.abandoned_again(),
                reason: reason.map(|reason| (RELEASED_PROPERTY, reason)),
            };
            return self.given_back(self.settle_locked(&locked, &abandon, wait));
        }
        let failed = self.decoded.history.failed_again();
        let mut annotations = annotations.to_vec();
        if matches!(self.link.ledger, Ledger::Failed | Ledger::All) {
            annotations.push(failed);
        }
        let reason = reason.map(|reason| (RELEASED, reason));
        let modified = state::modified_with(true, &annotations, reason);
        let settled = link.settle(self.delivery_id, &modified);
        self.given_back(settled)
    }
}
