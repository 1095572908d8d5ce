//! Where the outcomes of sent messages arrive.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use crate::base::sync::Mutex;
use crate::base::wait::Signal;
use crate::error::condition::Condition;
use crate::error::Error;
use crate::wire::frame::State as DeliveryState;

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Confirmation {
    /// The broker has taken it.
    Accepted,
    /// The broker refused it: condition and description.
    Rejected(Option<(String, Option<String>)>),
    /// Nobody took it: no queue for it.
    Released,
    /// Not taken, and the broker says that it tried.
    Modified,
    /// The link ended before an outcome came; it may or may not have been taken.
    Lost(Error),
}

impl Confirmation {
    /// What became of a delivery, in the words of the one who settled it.
    pub(super) fn of(state: Option<&DeliveryState>) -> Self {
        match state {
            Some(DeliveryState::Accepted) => Confirmation::Accepted,
            Some(DeliveryState::Rejected(error)) => Confirmation::Rejected(error.clone()),
            Some(DeliveryState::Released) => Confirmation::Released,
            Some(DeliveryState::Modified) => Confirmation::Modified,
            Some(DeliveryState::Other) | None => Confirmation::Rejected(Some((
                Condition::NOT_IMPLEMENTED.as_str().to_owned(),
                Some("the broker settled the message without an outcome".to_owned()),
            ))),
        }
    }
}

/// Collects the outcomes of messages that one caller waits for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tracker {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    abandoned: AtomicBool,
    state: Mutex<Collected>,
    signal: Signal,
}

#[derive(Debug, Default)]
struct Collected {
    outcomes: Vec<(u64, Confirmation)>,
    pending: usize,
    /// Wakes the caller only when so few are pending: a wake-up for each of
    /// a thousand outcomes costs more than the outcomes.
    wake_at: usize,
}

impl Tracker {
    /// One more message is on its way.
    pub fn expect(&self) {
        self.inner.state.lock().pending += 1;
    }

    /// Messages whose outcome has not come.
    pub fn pending(&self) -> usize {
        self.inner.state.lock().pending
    }

    /// The outcome of message `index`.
    pub fn resolve(&self, index: u64, outcome: Confirmation) {
        let mut state = self.inner.state.lock();
        let urgent = outcome != Confirmation::Accepted;
        state.outcomes.push((index, outcome));
        state.pending = state.pending.saturating_sub(1);
        if state.pending <= state.wake_at || urgent {
            drop(state);
            self.inner.signal.raise();
        }
    }

    /// Moves the outcomes that have come into `into`, and asks to be woken when
    /// no more than `wake_at` are pending (or at once for a failure).
    pub fn take(&self, into: &mut Vec<(u64, Confirmation)>, wake_at: usize) -> usize {
        let mut state = self.inner.state.lock();
        state.wake_at = wake_at;
        into.append(&mut state.outcomes);
        state.pending
    }

    /// Nobody waits for the outcomes any more: what was not yet sent need not be.
    pub fn abandon(&self) {
        self.inner.abandoned.store(true, Ordering::Relaxed);
    }

    /// After [`Tracker::abandon`].
    pub fn is_abandoned(&self) -> bool {
        self.inner.abandoned.load(Ordering::Relaxed)
    }

    /// Raised as [`Tracker::take`] asked for.
    pub fn signal(&self) -> &Signal {
        &self.inner.signal
    }
}

/// One message of a tracker.
#[derive(Debug, Clone)]
pub(crate) struct Tracked {
    pub tracker: Tracker,
    pub index: u64,
}

impl Tracked {
    pub fn resolve(self, outcome: Confirmation) {
        self.tracker.resolve(self.index, outcome);
    }
}
