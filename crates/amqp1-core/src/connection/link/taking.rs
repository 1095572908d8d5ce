//! What PHP takes from a link, and what the broker takes back from PHP.

use std::time::Duration;

use super::ReceiverLink;
use crate::base::wait::Wait;
use crate::connection::receiver::Incoming;
use crate::connection::sender::Phase;
use crate::connection::state::internal;
use crate::error::{Error, Result};

/// How long the broker may take to say what it has sent.
const HUSH: Duration = Duration::from_millis(500);

impl ReceiverLink {
    /// The next delivery; `None` when there is none yet.
    pub fn take(&self) -> Result<Option<Incoming>> {
        let mut state = self.connection.lock();
        let Some((session, out)) = state.session_and_out(self.key) else {
            return Err(state.gone(self.key));
        };
        let Some(receiver) = &mut session.receiver else {
            return Err(state.gone(self.key));
        };
        let taken = match receiver.take() {
            Some(incoming) => Some(incoming),
            None => match &receiver.phase {
                Phase::Detached(error) => return Err(error.clone()),
                _ => None,
            },
        };
        if receiver.has_dropped() || (receiver.is_careful() && taken.is_none()) {
            receiver.settle_dropped(out, self.key.channel);
            session.grant_credit(out).map_err(internal)?;
            self.connection.kick(state);
        }
        Ok(taken)
    }

    /// The broker has taken back a delivery that is not settled.
    pub fn is_recalled(&self, delivery_id: u32) -> bool {
        self.with(|receiver| Ok(receiver.is_recalled(delivery_id)))
            .unwrap_or(false)
    }

    /// A delivery that is not settled is let go of; see [`Receiver::abandon`].
    pub fn abandon(&self, delivery_id: u32) {
        let mut state = self.connection.lock();
        let Some((session, out)) = state.session_and_out(self.key) else {
            return;
        };
        if let Some(receiver) = &mut session.receiver {
            receiver.abandon(out, self.key.channel, delivery_id);
            self.connection.kick(state);
        }
    }

    /// Before the link is ended: gives back what is buffered and what is still on its way, so
    /// that the broker does not count it as something that was lost. Waits for the broker's
    /// answer, not for long.
    pub fn hush(&self) {
        let signal = {
            let mut state = self.connection.lock();
            let Some((session, out)) = state.session_and_out(self.key) else {
                return;
            };
            let Some(receiver) = session.receiver.as_mut().filter(|r| !r.is_quiet()) else {
                return;
            };
            receiver.set_prefetch(0);
            let signal = receiver.signal.clone();
            if session.hush(out).is_err() {
                return;
            }
            if let Some(receiver) = &mut session.receiver {
                receiver.release_buffered(out, self.key.channel);
            }
            self.connection.kick(state);
            signal
        };
        let is_quiet = || self.with(|receiver| Ok(receiver.is_quiet().then_some(())));
        // What goes wrong now is the broker's count, or the link is over.
        let _ = Wait::uninterrupted(HUSH).until(&signal, is_quiet);
    }

    /// Why a delivery that was taken back cannot be settled.
    pub(super) fn recalled(&self) -> Error {
        Error::task_lost(format!(
            "{} took it back, as it was held for longer than the consumer timeout",
            self.connection.label()
        ))
    }
}
