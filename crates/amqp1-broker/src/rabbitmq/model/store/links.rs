//! The store's links: consumers with their credit and deliveries, and publishers.

use fe2o3_amqp_types::definitions::{AmqpError, Error};

use super::{ConnectionId, Link, QueueId, Route, Store};
use crate::amqp::ids::LinkId;
use crate::rabbitmq::model::address::Address;
use crate::rabbitmq::model::consumers::{Consumer, MAX_UNSENT};
use crate::rabbitmq::model::errors;
use crate::rabbitmq::model::outcome::{Loss, Outcome};
use crate::rabbitmq::model::queue::{Queue, Sequence};

impl Store {
    pub(super) fn attach(
        &mut self,
        connection: ConnectionId,
        queue: Option<QueueId>,
        consumes: bool,
    ) -> LinkId {
        let id = LinkId(self.next_id());
        let link = Link {
            connection,
            queue,
            consumes,
        };
        self.links.insert(id, link);
        if let Some(endpoint) = self.connections.get_mut(&connection) {
            endpoint.links.insert(id);
        }
        id
    }

    /// Attaches a consumer, without credit. The error is for refusing the attach.
    pub(crate) fn attach_consumer(
        &mut self,
        connection: ConnectionId,
        queue: &str,
        priority: i32,
        timeout: Option<u64>,
        pre_settled: bool,
    ) -> Result<LinkId, Error> {
        if self.is_locked(queue, connection) {
            return Err(errors::error(
                AmqpError::ResourceLocked,
                format!("queue '{queue}' is exclusive to another connection"),
            ));
        }
        let queue = self.queue_for_use(queue)?;
        let link = self.attach(connection, Some(queue), true);
        let consumer = Consumer {
            credit: 0,
            unsent: 0,
            priority,
            pre_settled,
            timeout,
            is_suspended: false,
        };
        if let Some(slot) = self.queues.get_mut(&queue) {
            slot.queue.consumers.add(link, consumer);
        }
        Ok(link)
    }

    /// Attaches a publisher; `None` is the anonymous terminus.
    pub(crate) fn attach_publisher(
        &mut self,
        connection: ConnectionId,
        address: Option<Address>,
    ) -> Result<(LinkId, Route), Error> {
        let route = match address {
            None => Route::Anonymous,
            Some(address) => self.resolve(address)?,
        };
        let queue = match &route {
            Route::Queue(id) => Some(*id),
            _ => None,
        };
        let link = self.attach(connection, queue, false);
        if let Some(slot) = queue.and_then(|id| self.queues.get_mut(&id)) {
            slot.publishers.insert(link);
        }
        Ok((link, route))
    }

    pub(super) fn resolve(&mut self, address: Address) -> Result<Route, Error> {
        match address {
            Address::Queue(name) => self.queue_for_use(&name).map(Route::Queue),
            Address::Exchange { name, key } => match self.exchanges.get(&name) {
                Some(exchange) if exchange.internal => Err(errors::error(
                    AmqpError::UnauthorizedAccess,
                    format!("exchange '{name}' is internal"),
                )),
                Some(_) => Ok(Route::Exchange { name, key }),
                None => Err(errors::not_found("exchange", &name)),
            },
            Address::Management => Err(errors::precondition_failed(
                "the management node takes requests only over a link of its own",
            )),
        }
    }

    /// Forgets a link. A consumer's unsettled messages return to its queue.
    pub(crate) fn detach(&mut self, link: LinkId, loss: Loss, now: u64) {
        let Some(record) = self.links.remove(&link) else {
            return;
        };
        if let Some(endpoint) = self.connections.get_mut(&record.connection) {
            endpoint.links.remove(&link);
        }
        let Some(id) = record.queue else { return };
        let Some(slot) = self.queues.get_mut(&id) else {
            return;
        };
        if !record.consumes {
            slot.publishers.remove(&link);
            return;
        }
        let limit = self.policy.delivery_limit;
        let dead = slot.queue.remove_consumer(link, loss, limit, now);
        let unused = slot.queue.declaration.auto_delete && slot.queue.consumers.len() == 0;
        self.mark(id);
        self.bury(id, dead, now);
        if unused {
            self.remove_queue(id);
        }
    }

    pub(super) fn consumed(&mut self, link: LinkId) -> Option<(QueueId, &mut Queue)> {
        let id = self.links.get(&link)?.queue?;
        self.queues.get_mut(&id).map(|slot| (id, &mut slot.queue))
    }

    /// Sets how many more deliveries a consumer may be given.
    pub(crate) fn set_credit(&mut self, link: LinkId, credit: u32) {
        let Some((id, queue)) = self.consumed(link) else {
            return;
        };
        if let Some(consumer) = queue.consumers.get_mut(link) {
            consumer.credit = credit;
            self.mark(id);
        }
    }

    /// Takes away the remaining credit of a consumer that has received all available messages;
    /// `None` if more messages must be assigned once its connection has sent the waiting ones. Call
    /// it after [`Store::dispatch`].
    pub(crate) fn drain(&mut self, link: LinkId) -> Option<u32> {
        let Some((_, queue)) = self.consumed(link) else {
            return Some(0);
        };
        let is_empty = queue.counts().ready == 0;
        let Some(consumer) = queue.consumers.get_mut(link) else {
            return Some(0);
        };
        if consumer.credit > 0 && !is_empty && consumer.unsent >= MAX_UNSENT {
            return None;
        }
        Some(std::mem::take(&mut consumer.credit))
    }

    /// Makes an id for a link without a queue, to the management node.
    pub(crate) fn attach_other(&mut self, connection: ConnectionId) -> LinkId {
        self.attach(connection, None, false)
    }

    /// The number of ready messages in the link's queue.
    pub(crate) fn available(&mut self, link: LinkId) -> u32 {
        self.consumed(link).map_or(0, |(_, queue)| {
            u32::try_from(queue.counts().ready).unwrap_or(u32::MAX)
        })
    }

    /// Records that the connection has sent a delivery.
    pub(crate) fn sent(&mut self, link: LinkId, sequence: Sequence) {
        if let Some((id, queue)) = self.consumed(link) {
            queue.sent(link, sequence);
            self.mark(id);
        }
    }

    /// Takes back a delivery that was not sent.
    pub(crate) fn unassign(&mut self, link: LinkId, sequence: Sequence) {
        if let Some((id, queue)) = self.consumed(link) {
            queue.unassign(link, sequence);
            self.mark(id);
        }
    }

    /// Settles a delivery with its receiver's outcome.
    pub(crate) fn settle(&mut self, link: LinkId, sequence: Sequence, outcome: Outcome, now: u64) {
        let limit = self.policy.delivery_limit;
        if let Some((id, queue)) = self.consumed(link) {
            // An acceptance makes no message ready.
            let is_resumed = queue.resume(link, sequence);
            let is_accepted = outcome == Outcome::Accepted && !is_resumed;
            let dead = queue.settle(link, sequence, outcome, limit, now);
            if !is_accepted {
                self.mark(id);
            }
            self.bury(id, dead, now);
        }
    }
}
