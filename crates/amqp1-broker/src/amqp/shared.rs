//! The state that all connections of a broker share, with the model behind one lock.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::ids::ConnectionId;
use super::parts::{Model, Parts};
use super::transport::Timeouts;
use super::wakers::Wakers;

pub(crate) struct Shared<P: Parts> {
    pub(crate) container_id: String,
    pub(crate) timeouts: Timeouts,
    pub(crate) settings: P,
    is_shut_down: AtomicBool,
    state: Mutex<State<P::Model>>,
}

/// The state behind the lock.
pub(crate) struct State<M> {
    pub(crate) model: M,
    wakers: Wakers,
}

impl<M: Model> State<M> {
    /// Registers a connection together with the handle that wakes its task.
    pub(crate) fn connect(&mut self, waker: Arc<Notify>) -> ConnectionId {
        let id = self.model.connect();
        self.wakers.add(id, waker);
        id
    }

    pub(crate) fn disconnect(&mut self, id: ConnectionId, now: u64) {
        self.wakers.remove(id);
        self.model.disconnect(id, now);
    }

    /// Dispatches messages, and wakes the other connections that now have something to do.
    pub(crate) fn dispatch(&mut self, now: u64, own: Option<ConnectionId>) {
        self.model.dispatch(now);
        self.wakers.wake(self.model.take_woken(), own);
    }
}

impl<P: Parts> Shared<P> {
    pub(crate) fn new(container_id: String, timeouts: Timeouts, settings: P) -> Self {
        let state = State {
            model: settings.model(),
            wakers: Wakers::default(),
        };
        Self {
            container_id,
            timeouts,
            settings,
            is_shut_down: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    /// Ignores poisoning: the state stays consistent if a thread panics while it holds the lock.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<P::Model>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.is_shut_down.load(Ordering::Acquire)
    }

    /// Closes all connections, and any later one.
    pub(crate) fn shut_down(&self) {
        self.is_shut_down.store(true, Ordering::Release);
        self.wake();
    }

    /// Makes all connections take a turn.
    pub(crate) fn wake(&self) {
        self.lock().wakers.wake_all();
    }
}

impl<P: Parts> fmt::Debug for Shared<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("container_id", &self.container_id)
            .field("timeouts", &self.timeouts)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
