//! The trait that a dialect implements for [`Broker`](crate::Broker).

use std::fmt;
use std::sync::Arc;

use crate::amqp::connection::{Connection, Dialect};
use crate::amqp::parts::{Model, QueueCounts};
use crate::amqp::shared::Shared;
use crate::amqp::transport::{Engine, Timeouts};
use crate::clock::now;

/// The state that all connections to a broker share, in one dialect.
pub(crate) trait Served: fmt::Debug + Send + Sync {
    /// Creates the broker's end of a new connection.
    fn connect(self: Arc<Self>) -> Box<dyn Engine>;
    fn timeouts(&self) -> Timeouts;
    /// Closes all connections, and any later one.
    fn shut_down(&self);
    /// Makes all connections take a turn.
    fn wake(&self);
    fn queue_counts(&self, queue: &str) -> Option<QueueCounts>;
    fn queue_names(&self) -> Vec<String>;
    fn connection_count(&self) -> usize;
    fn inject(&self, faults: &str) -> Result<(), String>;
    fn replace_faults(&self, faults: &str) -> Result<(), String>;
    fn pending_faults(&self) -> usize;
}

impl<D: Dialect> Served for Shared<D> {
    fn connect(self: Arc<Self>) -> Box<dyn Engine> {
        Box::new(Connection::new(self))
    }

    fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    fn shut_down(&self) {
        Shared::shut_down(self);
    }

    fn wake(&self) {
        Shared::wake(self);
    }

    fn queue_counts(&self, queue: &str) -> Option<QueueCounts> {
        let mut state = self.lock();
        state.dispatch(now(), None);
        state.model.queue_counts(queue)
    }

    fn queue_names(&self) -> Vec<String> {
        self.lock().model.queue_names()
    }

    fn connection_count(&self) -> usize {
        self.lock().model.connection_count()
    }

    fn inject(&self, faults: &str) -> Result<(), String> {
        let mut state = self.lock();
        state.model.inject(faults)?;
        state.dispatch(now(), None);
        Ok(())
    }

    fn replace_faults(&self, faults: &str) -> Result<(), String> {
        let mut state = self.lock();
        state.model.replace_faults(faults)?;
        state.dispatch(now(), None);
        Ok(())
    }

    fn pending_faults(&self) -> usize {
        self.lock().model.pending_faults()
    }
}
