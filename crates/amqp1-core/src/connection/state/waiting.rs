//! When deliveries have waited too long in the buffers: see [`Receiver::return_waited`].

use std::time::Instant;

use super::State;
use crate::connection::receiver::Receiver;
use crate::wire::DecodeError;

impl State {
    /// What is in a buffer will have waited for too long at that time.
    pub(super) fn look_at(&mut self, at: Option<Instant>) {
        // What is taken before then is not looked for: the timer finds when the next one is due.
        if at.is_some_and(|at| self.waited_at.is_none_or(|sooner| at < sooner)) {
            self.waited_at = at;
            self.has_new_timer = true;
        }
    }

    /// Gives back what has waited in a buffer for too long.
    pub fn return_waited(&mut self, now: Instant) -> Result<(), DecodeError> {
        if self.waited_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        self.waited_at = None;
        let out = &mut self.out.bytes;
        for session in self.sessions.iter_mut().flatten().filter(|s| !s.ending) {
            session.return_waited(now, out)?;
            let next = session.receiver.as_ref().and_then(Receiver::waited_at);
            self.waited_at = self.waited_at.into_iter().chain(next).min();
        }
        Ok(())
    }
}
