//! Leaving a host that lives and does not answer, for another one.
//!
//! A node that is cut off from its cluster answers heartbeats. It neither confirms a job nor
//! attaches a link to a queue whose leader is elsewhere, nor declares anything, until the
//! cluster is whole again: RabbitMQ 4.3 does not pause in a minority.

use std::time::Duration;

use super::handle::Connection;
use super::receiver_link::ReceiverLink;
use crate::base::wait::{Signal, Wait};
use crate::error::{Error, Result};

/// Without any answer for so long the host is left, where there is another one. A queue's next
/// leader is there within some five seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

impl Connection {
    /// Waits for an answer as [`Wait::until`] does. A host that gives none for [`PATIENCE`] is
    /// left, unless jobs from it are in hand, which would be lost.
    ///
    /// # Errors
    /// Those of [`Wait::until`]; connection: the host was left.
    pub fn answer<T>(
        &self,
        signal: &Signal,
        wait: &Wait<'_>,
        mut ready: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        if !self.host().has_choice {
            return wait.until(signal, ready);
        }
        let answer = wait.at_most(PATIENCE).until(signal, &mut ready)?;
        if answer.is_some() || wait.left().is_zero() {
            return Ok(answer);
        }
        let state = self.lock();
        if state.holds_deliveries() {
            drop(state);
            return wait.until(signal, ready);
        }
        drop(state);
        Err(self.leave("has not answered"))
    }

    /// Leaves it when the broker owes answers to what was sent. A broker that takes nothing for
    /// now, as without memory, has not let us send.
    pub fn leave_unless_nothing_is_owed(&self) {
        if self.lock().is_owed() {
            self.leave("has confirmed nothing");
        }
    }

    /// Leaves it unless jobs from it are in hand.
    fn leave_unless_in_use(&self) {
        let state = self.lock();
        let in_use = state.holds_deliveries();
        drop(state);
        if !in_use {
            self.leave("has not answered");
        }
    }

    /// Ends it at once, as if it had broken.
    fn leave(&self, why: &str) -> Error {
        let error = Error::connection(format!(
            "{} is alive but {why} for {} s; it may be cut off from its cluster",
            self.label(),
            PATIENCE.as_secs()
        ));
        self.break_off(&error);
        error
    }
}

impl ReceiverLink {
    /// There is another host to go to.
    pub fn has_choice(&self) -> bool {
        self.connection.host().has_choice
    }

    /// The host does not answer: the link's connection is ended, unless jobs are in hand.
    pub fn leave_host(&self) {
        self.connection.leave_unless_in_use();
    }
}
