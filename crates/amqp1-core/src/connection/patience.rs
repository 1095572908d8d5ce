//! Switches away from a host that is alive but does not answer.
//!
//! A node that is cut off from its cluster answers heartbeats. Until the cluster is whole again,
//! however, it confirms no job, attaches no link to a queue whose leader is elsewhere, and declares
//! nothing: RabbitMQ 4.3 does not pause in a minority.

use std::time::Duration;

use super::handle::Connection;
use super::receiver_link::ReceiverLink;
use crate::base::wait::{Signal, Wait};
use crate::error::{Error, Result};

/// After this long without any answer, the client leaves the host, if there is another one. A queue
/// elects its next leader within about five seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

impl Connection {
    /// Waits for an answer, as [`Wait::until`] does. If the host gives none within [`PATIENCE`],
    /// the client leaves it, unless jobs from it are in progress, which would be lost.
    ///
    /// # Errors
    /// Those of [`Wait::until`]; connection: the client left the host.
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

    /// Leaves the host if the broker owes answers to something that was sent. A broker that accepts
    /// nothing for now, for example without memory, has not let us send.
    pub fn leave_unless_nothing_is_owed(&self) {
        if self.lock().is_owed() {
            self.leave("has confirmed nothing");
        }
    }

    /// Leaves the host unless jobs from it are in progress.
    fn leave_unless_in_use(&self) {
        let state = self.lock();
        let in_use = state.holds_deliveries();
        drop(state);
        if !in_use {
            self.leave("has not answered");
        }
    }

    /// Ends the connection at once, as if it had broken.
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
    /// Whether there is another host.
    pub fn has_choice(&self) -> bool {
        self.connection.host().has_choice
    }

    /// Ends the connection of a host that does not answer, unless jobs from it are in progress.
    pub fn leave_host(&self) {
        self.connection.leave_unless_in_use();
    }
}
