//! The broker's locks behind one receiver link: on its deliveries, or on the session that it
//! receives from. It also settles deliveries by these locks.
//!
//! A link has no holding if its broker has no such locks; then AMQP's dispositions alone settle its
//! deliveries. A lock may outlive its link, and the link its connection. Therefore settling gets a
//! [`Reach`] to the current connection.
//!
//! A holding belongs to the process that created its link. A child neither uses nor drops it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fe2o3_amqp_types::performatives::Attach;

use super::Reach;
use crate::base::wait::Wait;
use crate::connection::ReceiverLink;
use crate::error::{Error, Result};
use crate::settings::spec::Spec;

/// The broker's lock on one delivery, by delivery-tag.
pub(crate) type Lock = [u8; 16];

/// A locked delivery, with the data for settling it.
pub(crate) struct Locked<'a> {
    pub link: &'a ReceiverLink,
    /// The link's address.
    pub address: &'a str,
    /// `None` if it was not delivered over the link; only its lock settles it.
    pub delivery_id: Option<u32>,
    pub lock: Lock,
    pub reach: &'a dyn Reach,
}

/// How to settle a delivery.
#[derive(Debug)]
pub(crate) enum Settlement<'a> {
    Complete,
    /// Return it to the queue and count it, with this property as the record of the count, and
    /// another one with the reason.
    Abandon {
        count: (&'a str, i64),
        reason: Option<(&'a str, &'a str)>,
    },
    /// Set it aside: it can be received only by its sequence number.
    Defer,
    /// Move it to the broker's own dead-letter queue.
    DeadLetter {
        reason: &'a str,
        description: &'a str,
        exception: Option<&'a str>,
        queue: &'a str,
        attempts: u32,
    },
}

/// The result of handing out a delivery.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HandedOut {
    /// Its lock is lost: it will be delivered again, possibly to another consumer.
    Gone,
    /// Under this lock; `None` if it has none.
    By(Option<Lock>),
}

/// The session that a link requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionWish<'a> {
    /// `None`: the next free one with jobs.
    pub id: Option<&'a str>,
    /// The caller does not wait.
    pub polls: bool,
}

/// Why the broker granted no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSession {
    /// No session has a job.
    NoneHasJobs,
    /// Another consumer holds it.
    IsTaken,
    /// Any other reason.
    Refused,
}

pub(crate) trait Holding: Debug + Send + Sync {
    /// Records that PHP takes the delivery with this tag, and starts its time.
    fn hand_out(&self, tag: &[u8]) -> HandedOut;

    /// Stops renewing the lock.
    fn forget(&self, lock: &Lock);

    /// Whether the lock is known to be lost, without asking the broker.
    fn is_lost(&self, delivery: &Locked<'_>) -> bool;

    /// Settles a delivery, and returns once the broker has confirmed it.
    ///
    /// # Errors
    /// TaskLost if the lock is lost; Timeout if the broker does not answer.
    fn settle(
        &self,
        delivery: &Locked<'_>,
        settlement: &Settlement<'_>,
        wait: &Wait<'_>,
    ) -> Result<()>;

    /// When the lock ends, in Unix milliseconds, as far as known.
    fn locked_until(&self, lock: &Lock) -> Option<i64>;

    /// Renews the lock now.
    ///
    /// # Errors
    /// TaskLost if the lock is lost; Timeout if the broker does not answer.
    fn renew(&self, delivery: &Locked<'_>, wait: &Wait<'_>) -> Result<()>;

    /// Receives messages that were set aside, by their sequence numbers: the lock and the bytes of
    /// each.
    ///
    /// # Errors
    /// Rejected if there is no such message.
    fn receive_deferred(
        &self,
        numbers: &[i64],
        address: &str,
        reach: &dyn Reach,
        wait: &Wait<'_>,
    ) -> Result<Vec<(Lock, Bytes)>>;

    /// When the application must be asked for something, as for the connection's companion.
    fn next_errand(&self) -> Option<Instant>;

    /// Asks the application, if it is time.
    ///
    /// # Errors
    /// The error of the application's answer.
    fn run_errands(&self, spec: &Spec, wait: &Wait<'_>) -> Result<()>;

    /// Stops renewing the session's lock, because the link has ended or is released.
    fn leave(&self);

    /// Records that the session is requested or in use.
    fn touch(&self);

    /// The meaning of a refusal of the requested session.
    fn explain_no_session(&self, error: &Error) -> NoSession;

    /// Records the session in the broker's answer to the attach; if the answer names none, the
    /// requested one.
    fn took_session(&self, answer: Option<&Attach>, wished: Option<&str>);

    /// The session that the link receives from, once known.
    fn session(&self) -> Option<Arc<str>>;

    /// The session's state; `None` if there is none.
    ///
    /// # Errors
    /// TaskLost if another consumer holds the session by now.
    fn session_state(
        &self,
        address: &str,
        reach: &dyn Reach,
        wait: &Wait<'_>,
    ) -> Result<Option<Vec<u8>>>;

    /// Sets the session's state; `None` removes it.
    ///
    /// # Errors
    /// As [`Holding::session_state`].
    fn set_session_state(
        &self,
        state: Option<&[u8]>,
        address: &str,
        reach: &dyn Reach,
        wait: &Wait<'_>,
    ) -> Result<()>;
}
