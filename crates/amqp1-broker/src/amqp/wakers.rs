//! Wakes the tasks of a broker's connections.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::amqp::ids::ConnectionId;

#[derive(Debug, Default)]
pub(crate) struct Wakers(HashMap<ConnectionId, Arc<Notify>>);

impl Wakers {
    pub(crate) fn add(&mut self, id: ConnectionId, waker: Arc<Notify>) {
        self.0.insert(id, waker);
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) {
        self.0.remove(&id);
    }

    /// Wakes these connections, except the caller's own.
    pub(crate) fn wake(
        &self,
        ids: impl IntoIterator<Item = ConnectionId>,
        own: Option<ConnectionId>,
    ) {
        for id in ids {
            if own != Some(id) {
                if let Some(waker) = self.0.get(&id) {
                    waker.notify_one();
                }
            }
        }
    }

    pub(crate) fn wake_all(&self) {
        for waker in self.0.values() {
            waker.notify_one();
        }
    }
}
