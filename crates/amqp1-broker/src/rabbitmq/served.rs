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

    fn queue_counts(&self, queue: &str) -> Option<QueueCounts> {
        let mut state = self.lock();
        state.dispatch(now(), None);
        state.store.queue(queue).map(|queue| queue.counts())
    }

    fn queue_names(&self) -> Vec<String> {
        self.lock().store.queue_names().map(str::to_owned).collect()
    }

    fn connection_count(&self) -> usize {
        self.lock().store.connection_count()
    }
}
