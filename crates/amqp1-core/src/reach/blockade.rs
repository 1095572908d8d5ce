//! Whether the broker accepts jobs: a push that waits for credit is told of once, and so is the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::base::counters::CONNECTIONS;
use crate::base::events::EventKind;
use crate::base::sync::Mutex;
use crate::reach::definition::Definition;
use crate::reach::pool::Role;

/// How long a push waits without any outcome before this is asked. Credit that comes a little later
/// is normal.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Blockade {
    is_on: AtomicBool,
    since: Mutex<Option<Instant>>,
}

impl Definition {
    /// Called when a push has waited for [`PATIENCE`] without any outcome. If that is because the
    /// broker accepts nothing, this counts the time until the result is dropped.
    pub fn blocked(&self) -> Option<Counted> {
        if !self.waits_for_credit() {
            return None;
        }
        let now = Instant::now();
        if !self.blockade.is_on.swap(true, Ordering::Relaxed) {
            *self.blockade.since.lock() = Some(now);
            self.tell(EventKind::Blocked, Role::Publish, |_| {});
        }
        Some(Counted(now))
    }

    /// Called with each outcome.
    #[inline]
    pub fn not_blocked(&self) {
        if self.blockade.is_on.load(Ordering::Relaxed) {
            self.blockade.is_on.store(false, Ordering::Relaxed);
            let since = self.blockade.since.lock().take();
            self.tell(EventKind::Unblocked, Role::Publish, |event| {
                event.seconds = since.map(|since| since.elapsed());
            });
        }
    }
}

/// Counts the time that a push is blocked.
pub(crate) struct Counted(Instant);

impl Drop for Counted {
    fn drop(&mut self) {
        let nanos = u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX);
        CONNECTIONS.blocked_nanos.add(nanos);
    }
}
