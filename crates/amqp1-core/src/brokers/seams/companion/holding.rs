//! What goes with one receiver link: the broker's locks on its deliveries, or on the session that it takes from, and how
//! deliveries are settled by them.
//!
//! A link of a broker that has no such locks has none: its deliveries are settled by AMQP's dispositions alone. A lock may
//! outlive its link, and the link its connection; so settling has a [`Reach`] to today's connection.
//!
//! It belongs to the process that made its link, and is neither used nor dropped in a child.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use fe2o3_amqp_types::performatives::Attach;

use super::Reach;
use crate::base::wait::Wait;
use crate::connection::ReceiverLink;
use crate::error::{Error, Result};
use crate::settings::spec::Spec;

/// The broker's lock on one delivery, by the delivery's tag.
pub(crate) type Lock = [u8; 16];

/// A delivery that the broker has locked, for whoever settles it.
pub(crate) struct Locked<'a> {
    pub link: &'a ReceiverLink,
    /// The address that the link leads to.
    pub address: &'a str,
    pub delivery_id: u32,
    pub lock: Lock,
    pub reach: &'a dyn Reach,
}

/// What is said of a delivery.
#[derive(Debug)]
pub(crate) enum Settlement<'a> {
    Complete,
    /// Back to the queue, counted; with a property that says what it was counted for.
    Abandon(&'a str, i64),
    /// To the broker's own dead-letter queue.
    DeadLetter {
        reason: &'a str,
        description: &'a str,
        exception: Option<&'a str>,
        queue: &'a str,
        attempts: u32,
    },
}

/// A delivery is handed out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HandedOut {
    /// Its lock is gone: it comes again, or another has it by now.
    Gone,
    /// By this lock; `None` where it has none.
    By(Option<Lock>),
}

/// Which session a link is to take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionWish<'a> {
    /// `None`: the next free one that has jobs.
    pub id: Option<&'a str>,
    /// Whoever asks does not wait.
    pub polls: bool,
}

/// Why a session was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSession {
    /// None has a job.
    NoneHasJobs,
    /// Another consumer has it.
    IsTaken,
    /// Something else is wrong.
    Refused,
}

/// See the module.
pub(crate) trait Holding: Debug + Send + Sync {
    /// PHP takes a delivery of this tag: its time begins.
    fn hand_out(&self, tag: &[u8]) -> HandedOut;

    /// The lock is renewed no more.
    fn forget(&self, lock: &Lock);

    /// The lock is gone, as far as can be told without asking.
    fn is_lost(&self, delivery: &Locked<'_>) -> bool;

    /// Settles, and returns when the broker has confirmed it.
    ///
    /// # Errors
    /// TaskLost when the lock is gone; Timeout when the broker does not answer.
    fn settle(
        &self,
        delivery: &Locked<'_>,
        settlement: &Settlement<'_>,
        wait: &Wait<'_>,
    ) -> Result<()>;

    /// When the application has to be asked for something, as by the connection's companion.
    fn next_errand(&self) -> Option<Instant>;

    /// Asks, if it is time.
    ///
    /// # Errors
    /// What the application's answer fails with.
    fn run_errands(&self, spec: &Spec, wait: &Wait<'_>) -> Result<()>;

    /// The link is over, or let go: the session's lock is renewed no more.
    fn leave(&self);

    /// The session is waited for, or worked on.
    fn touch(&self);

    /// What a refusal of the session that was wished for means.
    fn explain_no_session(&self, error: &Error) -> NoSession;

    /// The broker's answer to the attach has come: it gave a session, the one wished for where it does not say which.
    fn took_session(&self, answer: Option<&Attach>, wished: Option<&str>);

    /// The session that the link takes from, once it is known.
    fn session(&self) -> Option<Arc<str>>;

    /// The bytes that are kept with the session; `None` when there are none.
    ///
    /// # Errors
    /// TaskLost when the session is another's by now.
    fn session_state(
        &self,
        address: &str,
        reach: &dyn Reach,
        wait: &Wait<'_>,
    ) -> Result<Option<Vec<u8>>>;

    /// Keeps these bytes with the session; `None` for none.
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
