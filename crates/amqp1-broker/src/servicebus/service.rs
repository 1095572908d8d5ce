//! A namespace together with its pending faults.

use super::faults::{Fault, Faults};
use super::model::namespace::Namespace;
use super::settings::ServiceBus;
use crate::amqp::ids::{ConnectionId, LinkId};
use crate::amqp::parts::{Model, QueueCounts};

pub(crate) struct Service {
    pub(crate) namespace: Namespace,
    pub(crate) faults: Faults,
}

impl Service {
    pub(crate) fn new(settings: &ServiceBus) -> Self {
        Self {
            namespace: Namespace::new(settings),
            faults: Faults::default(),
        }
    }

    /// Makes the given faults happen now.
    fn happen(&mut self, now: Vec<Fault>) {
        for fault in now {
            self.namespace.happen(fault);
        }
    }
}

impl Model for Service {
    fn connect(&mut self) -> ConnectionId {
        self.namespace.connect()
    }

    fn disconnect(&mut self, id: ConnectionId, _now: u64) {
        self.namespace.disconnect(id);
    }

    fn connection_count(&self) -> usize {
        self.namespace.connection_count()
    }

    fn dispatch(&mut self, now: u64) {
        self.namespace.dispatch(now);
    }

    fn take_woken(&mut self) -> impl IntoIterator<Item = ConnectionId> {
        self.namespace.take_woken()
    }

    fn set_credit(&mut self, link: LinkId, credit: u32) {
        self.namespace.set_credit(link, credit);
    }

    fn drain(&mut self, link: LinkId) -> Option<u32> {
        Some(self.namespace.drain(link))
    }

    fn available(&mut self, link: LinkId) -> u32 {
        self.namespace.available(link)
    }

    /// Counts of an entity's messages and receivers.
    fn queue_counts(&self, path: &str) -> Option<QueueCounts> {
        let id = self.namespace.find(path)?;
        let queue = &self.namespace.node(id)?.queue;
        let counts = queue.counts();
        Some(QueueCounts {
            ready: counts.active,
            unsettled: counts.locked,
            delayed: counts.scheduled + counts.deferred,
            consumers: u32::try_from(queue.consumers.len()).unwrap_or(u32::MAX),
        })
    }

    fn queue_names(&self) -> Vec<String> {
        self.namespace.paths()
    }

    fn inject(&mut self, text: &str) -> Result<(), String> {
        let now = self.faults.add(text)?;
        self.happen(now);
        Ok(())
    }

    fn replace_faults(&mut self, text: &str) -> Result<(), String> {
        let now = self.faults.replace(text)?;
        self.happen(now);
        Ok(())
    }

    fn pending_faults(&self) -> usize {
        self.faults.len()
    }
}
