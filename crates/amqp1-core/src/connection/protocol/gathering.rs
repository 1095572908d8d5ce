//! Settlements that are sent together with others.

use std::time::Instant;

use super::session::receiving::Settled;
use super::sessions::LinkKey;
use super::{timers, Protocol};
use crate::error::Result;
use crate::wire::DecodeError;

impl Protocol {
    /// Accepts a delivery. If it is to be gathered, [`Protocol::gather`] must follow.
    ///
    /// # Errors
    /// The error that ended the link.
    pub fn accept(
        &mut self,
        key: LinkKey,
        delivery_id: u32,
        now: impl FnOnce() -> Instant,
    ) -> Result<Settled> {
        let Some(session) = self.sessions.get(key) else {
            return Err(self.ends.of(key));
        };
        let settled = session.accept(delivery_id, now, self.output.frames())?;
        if settled == Settled::Gathered && !std::mem::replace(&mut session.gathers, true) {
            self.gathered.push(key);
        }
        Ok(settled)
    }

    /// Whether output is already being gathered and will be sent soon.
    pub fn is_gathering(&self) -> bool {
        self.timers.flush_at.is_some()
    }

    /// Sends written and gathered output soon, together with any that follows until then.
    pub fn gather(&mut self, now: Instant) {
        self.timers.gather(now);
    }

    /// A caller waits: sends everything that was gathered, unless something was sent a moment ago.
    /// More deliveries are then on their way, whose settlements go along: a broker sends them in
    /// several parts, and each answer to a part costs it as much as the answer to all.
    pub fn flush_idle(&mut self, now: Instant) -> Result<(), DecodeError> {
        match now.saturating_duration_since(self.timers.last_sent) < timers::ON_THE_WAY {
            true => Ok(()),
            false => self.flush_all(now),
        }
    }

    /// Sends everything that was gathered.
    pub fn flush_all(&mut self, now: Instant) -> Result<(), DecodeError> {
        self.timers.flush_at = None;
        for key in self.gathered.drain(..) {
            let Some(session) = self.sessions.get(key) else {
                continue;
            };
            session.gathers = false;
            if session.life.may_speak() {
                session.flush(now, self.output.frames())?;
            }
        }
        Ok(())
    }
}
