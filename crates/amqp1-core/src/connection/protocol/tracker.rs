//! Collects the outcomes of sent messages.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use crate::base::sync::Mutex;
use crate::base::wait::Signal;
use crate::error::condition::Condition;
use crate::error::Error;
use crate::wire::frame::State as DeliveryState;

/// The most outcomes for which a renewed tracker has room.
const MAX_KEPT: usize = 16;

/// The outcome of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Confirmation {
    /// The broker has accepted it.
    Accepted,
    /// The broker rejected it: condition and description.
    Rejected(Option<(String, Option<String>)>),
    /// No queue for it.
    Released,
    /// Not accepted, although the broker tried.
    Modified,
    /// The link ended before an outcome arrived; the message may or may not have been accepted.
    Lost(Error),
}

impl Confirmation {
    /// The outcome in a disposition's state.
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
    /// Wakes the caller only when this few are pending: waking it for each of a thousand outcomes
    /// would cost more than the outcomes themselves.
    wake_at: usize,
}

impl Tracker {
    /// Makes it as good as new, and keeps its memory. False if anyone else still has it, or if it
    /// has collected many outcomes.
    pub fn renew(&mut self) -> bool {
        let Some(inner) = Arc::get_mut(&mut self.inner) else {
            return false;
        };
        *inner.abandoned.get_mut() = false;
        let state = inner.state.get_mut();
        state.outcomes.clear();
        (state.pending, state.wake_at) = (0, 0);
        state.outcomes.capacity() <= MAX_KEPT && inner.signal.renew()
    }

    /// Counts another message that was sent.
    pub fn expect(&self) {
        self.inner.state.lock().pending += 1;
    }

    /// The number of messages without an outcome.
    pub fn pending(&self) -> usize {
        self.inner.state.lock().pending
    }

    /// Records the outcome of message `index`.
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

    /// Moves the available outcomes to `into`. Requests a wake-up when at most `wake_at` are
    /// pending, or at once for a failure.
    pub fn take(&self, into: &mut Vec<(u64, Confirmation)>, wake_at: usize) -> usize {
        let mut state = self.inner.state.lock();
        state.wake_at = wake_at;
        if !state.outcomes.is_empty() {
            into.append(&mut state.outcomes);
        }
        state.pending
    }

    /// Records that nobody waits for the outcomes any more: unsent messages need not be sent.
    pub fn abandon(&self) {
        self.inner.abandoned.store(true, Ordering::Relaxed);
    }

    /// Whether [`Tracker::abandon`] was called.
    pub fn is_abandoned(&self) -> bool {
        self.inner.abandoned.load(Ordering::Relaxed)
    }

    /// Raised as requested by [`Tracker::take`].
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
