//! The store's side of the traits that connections and [`Broker`](crate::Broker) use.

use super::Store;
use crate::amqp::ids::{ConnectionId, LinkId};
use crate::amqp::parts::{Model, QueueCounts};

impl Model for Store {
    fn connect(&mut self) -> ConnectionId {
        Self::connect(self)
    }

    fn disconnect(&mut self, id: ConnectionId, now: u64) {
        Self::disconnect(self, id, now);
    }

    fn connection_count(&self) -> usize {
        Self::connection_count(self)
    }

    fn dispatch(&mut self, now: u64) {
        Self::dispatch(self, now);
    }

    fn take_woken(&mut self) -> impl IntoIterator<Item = ConnectionId> {
        Self::take_woken(self)
    }

    fn set_credit(&mut self, link: LinkId, credit: u32) {
        Self::set_credit(self, link, credit);
    }

    fn drain(&mut self, link: LinkId) -> Option<u32> {
        Self::drain(self, link)
    }

    fn available(&mut self, link: LinkId) -> u32 {
        Self::available(self, link)
    }

    fn queue_counts(&self, queue: &str) -> Option<QueueCounts> {
        self.queue(queue).map(|queue| queue.counts())
    }

    fn queue_names(&self) -> Vec<String> {
        Self::queue_names(self).map(str::to_owned).collect()
    }
}
