//! Events of a queue.

use std::time::Instant;

use crate::base::events::{Event, EventKind};
use crate::base::threads;
use crate::error::{Error, ErrorKind};
use crate::reach::blockade::Counted;
use crate::reach::definition::Definition;
use crate::reach::pool::Role;

impl Definition {
    /// Tells of a link that the broker refuses, if that is why it failed.
    pub fn tell_refused(&self, role: Role, error: &Error) {
        use ErrorKind::{Authentication, QueueNotFound, Rejected, TaskLost};
        if matches!(
            error.kind(),
            Authentication | QueueNotFound | Rejected | TaskLost
        ) {
            self.tell(EventKind::LinkRefused, role, |event| {
                event.error = Some(error.clone());
            });
        }
    }

    /// Tells of an event of this queue.
    pub fn tell(&self, kind: EventKind, role: Role, complete: impl FnOnce(&mut Event)) {
        threads::emit(|| {
            let mut event = Event {
                role: Some(role.as_str()),
                queue: Some(self.broker_queue.clone()),
                ..Event::new(kind, self.endpoint.label())
            };
            complete(&mut event);
            event
        });
    }

    /// Called when a push has waited for [`crate::reach::blockade::PATIENCE`] without any outcome. If that is
    /// because the broker accepts nothing, this counts the time until the result is dropped.
    pub fn blocked(&self) -> Option<Counted> {
        if !self.waits_for_credit() {
            return None;
        }
        let now = Instant::now();
        if self.blockade.begin(now) {
            self.tell(EventKind::Blocked, Role::Publish, |_| {});
        }
        Some(Counted(now))
    }

    /// Called with each outcome.
    #[inline]
    pub fn not_blocked(&self) {
        if self.blockade.is_on() {
            let seconds = self.blockade.end();
            self.tell(EventKind::Unblocked, Role::Publish, |event| {
                event.seconds = seconds;
            });
        }
    }
}
