//! What all connections share: the broker's state behind one lock.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::model::store::{Policy, Store};
use super::settings::RabbitMq;
use crate::amqp::ids::ConnectionId;
use crate::amqp::transport::Timeouts;
use crate::amqp::wakers::Wakers;

/// See the module.
pub(crate) struct Shared {
    pub(crate) container_id: String,
    pub(crate) timeouts: Timeouts,
    pub(crate) settings: RabbitMq,
    is_shut_down: AtomicBool,
    state: Mutex<State>,
}

/// What the lock guards.
pub(crate) struct State {
    pub(crate) store: Store,
    wakers: Wakers,
}

impl State {
    /// Registers a connection with what wakes its task.
    pub(crate) fn connect(&mut self, waker: Arc<Notify>) -> ConnectionId {
        let id = self.store.connect();
        self.wakers.add(id, waker);
        id
    }

    pub(crate) fn disconnect(&mut self, id: ConnectionId, now: u64) {
        self.wakers.remove(id);
        self.store.disconnect(id, now);
    }

    /// Gives out messages, and wakes the other connections that have something to do now.
    pub(crate) fn dispatch(&mut self, now: u64, own: Option<ConnectionId>) {
        self.store.dispatch(now);
        self.wakers.wake(self.store.take_woken(), own);
    }
}

impl Shared {
    pub(crate) fn new(container_id: String, timeouts: Timeouts, settings: RabbitMq) -> Self {
        let policy = Policy {
            create_on_use: settings.create_on_use,
            delivery_limit: settings.max_delivery_count,
        };
        let state = State {
            store: Store::new(policy),
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
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("container_id", &self.container_id)
            .finish_non_exhaustive()
    }
}
