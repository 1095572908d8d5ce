//! What goes with one open connection: tokens, links to the broker's own nodes, and what was declared over them.
//!
//! It lives as long as its connection does, in the pool. A broker that has nothing of the kind has none.

pub(crate) mod holding;

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::holding::{Holding, SessionWish};
use super::detour::Detour;
use super::recipient::Recipient;
use super::subject::{Figures, Subject};
use crate::base::wait::Wait;
use crate::connection::ReceiverOptions;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::settings::spec::Spec;

/// The companion of a connection. Where nothing else is said, nothing is done.
pub(crate) trait Companion: Any + Debug + Send + Sync {
    /// The application has to be asked for something now and then, at calls of its own.
    fn has_errands(&self) -> bool {
        false
    }

    /// When it has to be asked.
    fn next_errand(&self) -> Option<Instant> {
        None
    }

    /// Asks, if it is time.
    ///
    /// # Errors
    /// What the application's answer fails with.
    fn run_errands(&self, _spec: &Spec, _wait: &Wait<'_>) -> Result<()> {
        Ok(())
    }

    /// The broker knows who we are, as far as it wants to for this address.
    ///
    /// # Errors
    /// Authentication.
    fn authorize(&self, _spec: &Spec, _address: &str, _wait: &Wait<'_>) -> Result<()> {
        Ok(())
    }

    /// The broker found a token expired before we did: another one is put before the next link.
    fn forget_tokens(&self) {}

    /// What goes with a receiver link that is about to be attached, and what the link is to be besides; `None` where
    /// AMQP's dispositions are all.
    ///
    /// # Errors
    /// Unsupported where the wish cannot be.
    fn receiver(
        self: Arc<Self>,
        _spec: &Spec,
        _address: &str,
        _session: Option<SessionWish<'_>>,
        _options: &mut ReceiverOptions,
    ) -> Result<Option<Box<dyn Holding>>> {
        Ok(None)
    }

    /// Makes what is missing of the queue, once a connection. What exists is used as it is.
    ///
    /// # Errors
    /// Config, Unsupported: it cannot be made as the options want it.
    fn declare(&self, _queue: &Subject<'_>, _wait: &Wait<'_>) -> Result<()> {
        Ok(())
    }

    /// Something that was declared is gone: everything is looked at again.
    fn forget_declared(&self) {}

    /// Something was declared, or looked at for the first time, so lately.
    fn declared_within(&self, _age: Duration) -> bool {
        false
    }

    /// Sees that jobs for this address wait for a consumer, once a connection, where attaching a sender does not tell.
    ///
    /// # Errors
    /// Unsupported when they would not.
    fn confirm(&self, _address: &str, _wait: &Wait<'_>) -> Result<()> {
        Ok(())
    }

    /// # Errors
    /// QueueNotFound when the queue is not there.
    fn find(&self, _queue: &str, _wait: &Wait<'_>) -> Result<()> {
        Ok(())
    }

    /// How a job gets there after `delay`; `None` for the dialect's usual way.
    ///
    /// # Errors
    /// Unsupported when it would be delivered at once; Unroutable.
    fn detour(
        &self,
        _queue: &Subject<'_>,
        _to: &Recipient<'_>,
        _delay: Duration,
        _wait: &Wait<'_>,
    ) -> Result<Option<Detour>> {
        Ok(None)
    }

    /// The queue's type, where the broker has several; `None` also when there is no such queue.
    ///
    /// # Errors
    /// Connection, Timeout.
    fn queue_type(&self, _queue: &str, _wait: &Wait<'_>) -> Result<Option<String>> {
        Ok(None)
    }

    /// Makes what is missing; a difference is an error.
    ///
    /// # Errors
    /// Config when what exists differs; Unsupported where the broker cannot.
    fn setup(&self, _queue: &Subject<'_>, _wait: &Wait<'_>) -> Result<()> {
        Err(has_no_way_to("setup()"))
    }

    /// Removes the jobs of the queue; returns how many.
    ///
    /// # Errors
    /// QueueNotFound; Unsupported where the broker cannot.
    fn purge(&self, _queue: &Subject<'_>, _wait: &Wait<'_>) -> Result<u64> {
        Err(has_no_way_to("purge()"))
    }

    /// Jobs that could be delivered now.
    ///
    /// # Errors
    /// As [`Companion::figures`].
    fn count(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<u64> {
        Ok(self.figures(queue, wait)?.ready)
    }

    /// # Errors
    /// QueueNotFound; Unsupported where the broker does not tell.
    fn figures(&self, _queue: &Subject<'_>, _wait: &Wait<'_>) -> Result<Figures> {
        Err(has_no_way_to("counting"))
    }

    /// Pushes a job of that id that can be taken back until `delay` is over; returns its number.
    ///
    /// # Errors
    /// As a push; Unsupported where the broker cannot.
    fn schedule(
        &self,
        _spec: &Spec,
        _job: (&Job<'_>, &str),
        _delay: Duration,
        _wait: &Wait<'_>,
    ) -> Result<String> {
        Err(cannot_schedule("schedule()"))
    }

    /// Takes a scheduled job back; false when it is not there (any more).
    ///
    /// # Errors
    /// Unsupported where the broker cannot.
    fn cancel(&self, _spec: &Spec, _number: i64, _wait: &Wait<'_>) -> Result<bool> {
        Err(cannot_schedule("cancel()"))
    }
}

/// A queue's way to its broker. What outlives its connection, as a lock on a job does, goes over today's.
pub(crate) trait Reach {
    /// The queue.
    fn spec(&self) -> &Spec;

    /// The companion of today's connection to consume over, which is dialled again where it was lost.
    ///
    /// # Errors
    /// Connection, Authentication, Timeout; Unsupported for a broker without a companion.
    fn companion(&self, wait: &Wait<'_>) -> Result<Arc<dyn Companion>>;

    /// The broker found a token expired, before we did: true when another one can be had, and is the next time.
    fn renews_token(&self, error: &Error) -> bool;
}

/// What cannot be done over AMQP 1.0 alone.
pub(crate) fn has_no_way_to(what: &str) -> Error {
    Error::unsupported(format!(
        "{what} is not supported: this broker has no management over AMQP 1.0; use the broker's own tools, or RabbitMQ 4"
    ))
}

/// What brokers do by a delay, and cannot take back.
pub(crate) fn cannot_schedule(what: &str) -> Error {
    Error::unsupported(format!(
        "{what} is not supported: only Service Bus can do this"
    ))
}
