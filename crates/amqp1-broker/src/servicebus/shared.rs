//! What all connections of a namespace share: its state behind one lock.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::faults::{Fault, Faults};
use super::model::namespace::Namespace;
use super::settings::ServiceBus;
use crate::amqp::ids::ConnectionId;
use crate::amqp::transport::Timeouts;
use crate::amqp::wakers::Wakers;
use crate::clock::now;

/// See the module.
pub(crate) struct Shared {
    pub(crate) container_id: String,
    pub(crate) timeouts: Timeouts,
    pub(crate) settings: ServiceBus,
    is_shut_down: AtomicBool,
    state: Mutex<State>,
}

/// What the lock guards.
pub(crate) struct State {
    pub(crate) namespace: Namespace,
    pub(crate) faults: Faults,
    wakers: Wakers,
}

impl State {
    /// Registers a connection with what wakes its task.
    pub(crate) fn connect(&mut self, waker: Arc<Notify>) -> ConnectionId {
        let id = self.namespace.connect();
        self.wakers.add(id, waker);
        id
    }

    /// Adds faults, one a line, and has those happen that are for now.
    pub(crate) fn inject(&mut self, text: &str) -> Result<(), String> {
        let now = self.faults.add(text)?;
        self.happen(now);
        Ok(())
    }

    /// The same in the place of the faults that wait.
    pub(crate) fn replace_faults(&mut self, text: &str) -> Result<(), String> {
        let now = self.faults.replace(text)?;
        self.happen(now);
        Ok(())
    }

    fn happen(&mut self, now: Vec<Fault>) {
        for fault in now {
            self.namespace.happen(fault);
        }
    }

    pub(crate) fn disconnect(&mut self, id: ConnectionId) {
        self.wakers.remove(id);
        self.namespace.disconnect(id);
    }

    /// Gives out messages, and wakes the other connections that have something to do now.
    pub(crate) fn dispatch(&mut self, now: u64, own: Option<ConnectionId>) {
        self.namespace.dispatch(now);
        self.wakers.wake(self.namespace.take_woken(), own);
    }
}

impl Shared {
    pub(crate) fn new(container_id: String, timeouts: Timeouts, settings: ServiceBus) -> Self {
        let state = State {
            namespace: Namespace::new(&settings),
            faults: Faults::default(),
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

    /// A panic elsewhere while the lock was held does not make the state worse than it is.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has all connections close.
    pub(super) fn shut_down(&self) {
        self.is_shut_down.store(true, Ordering::Release);
        self.lock().wakers.wake_all();
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.is_shut_down.load(Ordering::Acquire)
    }

    pub(super) fn with_faults(
        &self,
        change: impl FnOnce(&mut State) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut state = self.lock();
        change(&mut state)?;
        state.dispatch(now(), None);
        Ok(())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("container_id", &self.container_id)
            .finish_non_exhaustive()
    }
}
