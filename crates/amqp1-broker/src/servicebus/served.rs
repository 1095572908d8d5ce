//! What the broker's face asks of this dialect.

use std::sync::Arc;

use super::connection::Connection;
use super::shared::Shared;
use crate::amqp::transport::{Engine, Timeouts};
use crate::clock::now;
use crate::served::{QueueCounts, Served};

impl Served for Shared {
    fn connect(self: Arc<Self>) -> Box<dyn Engine> {
        Box::new(Connection::new(self))
    }

    fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    fn shut_down(&self) {
        Shared::shut_down(self);
    }

    fn queue_counts(&self, path: &str) -> Option<QueueCounts> {
        let mut state = self.lock();
        state.dispatch(now(), None);
        let id = state.namespace.find(path)?;
        let queue = &state.namespace.node(id)?.queue;
        let counts = queue.counts();
        Some(QueueCounts {
            ready: counts.active,
            unsettled: counts.locked,
            delayed: counts.scheduled + counts.deferred,
            consumers: u32::try_from(queue.consumers.len()).unwrap_or(u32::MAX),
        })
    }

    fn queue_names(&self) -> Vec<String> {
        self.lock().namespace.paths()
    }

    fn connection_count(&self) -> usize {
        self.lock().namespace.connection_count()
    }

    fn inject(&self, faults: &str) -> Result<(), String> {
        self.with_faults(|state| state.inject(faults))
    }

    fn replace_faults(&self, faults: &str) -> Result<(), String> {
        self.with_faults(|state| state.replace_faults(faults))
    }

    fn pending_faults(&self) -> usize {
        self.lock().faults.len()
    }
}
