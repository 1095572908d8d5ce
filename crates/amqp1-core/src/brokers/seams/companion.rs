//! The client's state beside one open connection: tokens, links to the broker's own nodes, and what
//! was declared over them.
//!
//! It lives in the pool, as long as its connection. Brokers that need no such state have no
//! companion.

pub(crate) mod holding;

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::holding::{Holding, SessionWish};
use super::detour::Detour;
use super::peek::{cannot_peek, PeekedMessage};
use super::recipient::Recipient;
use super::subject::{Figures, Subject};
use crate::base::wait::Wait;
use crate::connection::ReceiverOptions;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::settings::spec::Spec;

/// A connection's companion. By default, each method does nothing.
pub(crate) trait Companion: Any + Debug + Send + Sync {
    /// Whether the application must be asked for something from time to time, during its own calls.
    fn has_errands(&self) -> bool {
        false
    }

    /// When the application must be asked next.
    fn next_errand(&self) -> Option<Instant> {
        None
    }

    /// Asks the application, if it is time.
    ///
    /// # Errors
    /// The error of the application's answer.
    fn run_errands(&self, _spec: &Spec, _wait: &Wait<'_>) -> Result<()> {
        Ok(())
    }

    /// Authenticates the client for this address, if the broker requires it.
    ///
    /// # Errors
    /// Authentication.
    fn authorize(&self, _spec: &Spec, _address: &str, _wait: &Wait<'_>) -> Result<()> {
        Ok(())
    }

    /// Makes the client send a new token before the next link, because the broker found one
    /// expired.
    fn forget_tokens(&self) {}

    /// Creates the holding for a receiver link that is about to be attached, and adds to the link's
    /// options. `None` if AMQP's dispositions are enough.
    ///
    /// # Errors
    /// Unsupported if the wish cannot be fulfilled.
    fn receiver(
        self: Arc<Self>,
        _spec: &Spec,
        _address: &str,
        _session: Option<SessionWish<'_>>,
        _options: &mut ReceiverOptions,
    ) -> Result<Option<Box<dyn Holding>>> {
        Ok(None)
    }

    /// Declares what the queue lacks, once per connection. Existing entities are used as they are.
    ///
    /// # Errors
    /// Config, Unsupported: it cannot be created as the options require.
    fn declare(&self, _queue: &Subject<'_>, _wait: &Wait<'_>) -> Result<()> {
        Ok(())
    }

    /// Forgets all checks, because something that was declared no longer exists.
    fn forget_declared(&self) {}

    /// Whether anything was declared or checked for the first time within `age`.
    fn declared_within(&self, _age: Duration) -> bool {
        false
    }

    /// Checks once per connection that jobs for this address wait for a consumer, if attaching a
    /// sender does not show it.
    ///
    /// # Errors
    /// Unsupported if they would not.
    fn confirm(&self, _address: &str, _wait: &Wait<'_>) -> Result<()> {
        Ok(())
    }

    /// # Errors
    /// QueueNotFound if the queue does not exist.
    fn find(&self, _queue: &str, _wait: &Wait<'_>) -> Result<()> {
        Ok(())
    }

    /// How to send a job that must arrive after `delay`; `None` for the dialect's usual way.
    ///
    /// # Errors
    /// Unsupported if it would be delivered at once; Unroutable.
    fn detour(
        &self,
        _queue: &Subject<'_>,
        _to: &Recipient<'_>,
        _delay: Duration,
        _wait: &Wait<'_>,
    ) -> Result<Option<Detour>> {
        Ok(None)
    }

    /// The queue's type, if the broker has several; also `None` if there is no such queue.
    ///
    /// # Errors
    /// Connection, Timeout.
    fn queue_type(&self, _queue: &str, _wait: &Wait<'_>) -> Result<Option<String>> {
        Ok(None)
    }

    /// Whether the queue itself names an exchange for rejected jobs; `None` if the broker does not
    /// say.
    ///
    /// # Errors
    /// Connection, Timeout.
    fn has_dead_letter_exchange(&self, _queue: &str, _wait: &Wait<'_>) -> Result<Option<bool>> {
        Ok(None)
    }

    /// Declares missing entities; a difference is an error.
    ///
    /// # Errors
    /// Config if an existing entity differs; Unsupported if the broker cannot declare.
    fn setup(&self, _queue: &Subject<'_>, _wait: &Wait<'_>) -> Result<()> {
        Err(has_no_way_to("setup()"))
    }

    /// Removes the jobs from the queue; returns how many.
    ///
    /// # Errors
    /// QueueNotFound; Unsupported if the broker cannot do it.
    fn purge(&self, _queue: &Subject<'_>, _wait: &Wait<'_>) -> Result<u64> {
        Err(has_no_way_to("purge()"))
    }

    /// The number of jobs that could be delivered now.
    ///
    /// # Errors
    /// As [`Companion::figures`].
    fn count(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<u64> {
        Ok(self.figures(queue, wait)?.ready)
    }

    /// # Errors
    /// QueueNotFound; Unsupported if the broker does not report figures.
    fn figures(&self, _queue: &Subject<'_>, _wait: &Wait<'_>) -> Result<Figures> {
        Err(has_no_way_to("counting"))
    }

    /// Up to `max` messages from the number `from` on, in any state, in the order of their numbers.
    /// They stay as they are.
    ///
    /// # Errors
    /// QueueNotFound; Unsupported if the broker cannot do it.
    fn peek(
        &self,
        _queue: &Subject<'_>,
        _from: i64,
        _max: u32,
        _wait: &Wait<'_>,
    ) -> Result<Vec<PeekedMessage>> {
        Err(cannot_peek())
    }

    /// Pushes a job with this id that can be cancelled until `delay` has passed; returns its
    /// number.
    ///
    /// # Errors
    /// As a push; Unsupported if the broker cannot schedule.
    fn schedule(
        &self,
        _spec: &Spec,
        _job: (&Job<'_>, &str),
        _delay: Duration,
        _wait: &Wait<'_>,
    ) -> Result<String> {
        Err(cannot_schedule("schedule()"))
    }

    /// Cancels a scheduled job; false if it is not there (any more).
    ///
    /// # Errors
    /// Unsupported if the broker cannot do it.
    fn cancel(&self, _spec: &Spec, _number: i64, _wait: &Wait<'_>) -> Result<bool> {
        Err(cannot_schedule("cancel()"))
    }
}

/// A queue's access to its broker. Whatever outlives its connection, such as a lock on a job, uses
/// the current one.
pub(crate) trait Reach {
    /// The queue.
    fn spec(&self) -> &Spec;

    /// The companion of the current connection for consuming. Reconnects if the connection was
    /// lost.
    ///
    /// # Errors
    /// Connection, Authentication, Timeout; Unsupported for a broker without a companion.
    fn companion(&self, wait: &Wait<'_>) -> Result<Arc<dyn Companion>>;

    /// Handles a broker's report that a token has expired: true if the client can get another one,
    /// which it then uses next.
    fn renews_token(&self, error: &Error) -> bool;
}

/// The error for operations that AMQP 1.0 alone does not offer.
pub(crate) fn has_no_way_to(what: &str) -> Error {
    Error::unsupported(format!(
        "{what} is not supported: this broker has no management over AMQP 1.0; use the broker's own tools, or RabbitMQ 4"
    ))
}

/// The error for brokers that can delay a job, but not cancel it.
pub(crate) fn cannot_schedule(what: &str) -> Error {
    Error::unsupported(format!(
        "{what} is not supported: only Service Bus can do this"
    ))
}
