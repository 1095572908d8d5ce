//! All queues and exchanges, the links attached to them, and the events for each connection.
//!
//! Calls change queues and remember which ones. [`Store::dispatch`] then assigns messages to
//! consumers, so that a batch of frames costs one pass. Each connection has a list of events to
//! send.

mod face;
mod links;
mod publishing;
mod queues;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use fe2o3_amqp_types::definitions::Error;

use super::exchange::{Exchange, ExchangeType};
use super::message::{DeliveryHeader, Message};
use super::outcome::Loss;
use super::queue::{Queue, Sequence};
use crate::amqp::ids::{ConnectionId, LinkId};

/// A queue's id, unique for the life of the broker: a queue that is deleted and created again gets
/// a new id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct QueueId(u64);

/// An action for a connection.
#[derive(Debug)]
pub(crate) enum Event {
    /// Send a message.
    Deliver(Delivery),
    /// Report that a delivery was taken back, and wait until its receiver settles it.
    Recall(LinkId, Sequence),
    /// Detach and close a link with this error. The store has already forgotten the link.
    Detach(LinkId, Error),
}

/// A message to send.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) link: LinkId,
    pub(crate) sequence: Sequence,
    pub(crate) message: Message,
    pub(crate) header: DeliveryHeader,
    pub(crate) pre_settled: bool,
}

/// Where a publisher's link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Queue(QueueId),
    Exchange {
        name: String,
        key: String,
    },
    /// Each message names it in `properties.to`.
    Anonymous,
}

/// The outcome of a publisher's delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Published {
    Accepted,
    /// No queue to route it to.
    Released,
    Rejected(Error),
}

/// The broker's settings that apply to all queues.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// Queues are created on the first attach or message.
    pub(crate) create_on_use: bool,
    /// `x-delivery-limit` of queues that do not set it.
    pub(crate) delivery_limit: Option<u32>,
}

#[derive(Debug)]
struct Link {
    connection: ConnectionId,
    queue: Option<QueueId>,
    consumes: bool,
}

#[derive(Debug, Default)]
struct Connection {
    links: BTreeSet<LinkId>,
    events: VecDeque<Event>,
}

/// A queue with the store's data about it.
#[derive(Debug)]
struct Slot {
    queue: Queue,
    /// Its entry in [`Store::timers`].
    timer: Option<u64>,
    is_dirty: bool,
    /// Links of publishers.
    publishers: HashSet<LinkId>,
    /// The connection that declared it exclusive.
    owner: Option<ConnectionId>,
}

#[derive(Debug)]
pub(crate) struct Store {
    policy: Policy,
    queues: HashMap<QueueId, Slot>,
    names: BTreeMap<Arc<str>, QueueId>,
    pub(crate) exchanges: BTreeMap<String, Exchange>,
    links: HashMap<LinkId, Link>,
    connections: HashMap<ConnectionId, Connection>,
    dirty: Vec<QueueId>,
    timers: BTreeSet<(u64, QueueId)>,
    woken: Vec<ConnectionId>,
    last_id: u64,
}

impl Store {
    pub(crate) fn new(policy: Policy) -> Self {
        let exchanges = [
            ("amq.direct", ExchangeType::Direct),
            ("amq.fanout", ExchangeType::Fanout),
            ("amq.topic", ExchangeType::Topic),
        ];
        Self {
            policy,
            queues: HashMap::new(),
            names: BTreeMap::new(),
            exchanges: exchanges
                .map(|(name, kind)| (name.to_owned(), Exchange::new(kind)))
                .into(),
            links: HashMap::new(),
            connections: HashMap::new(),
            dirty: Vec::new(),
            timers: BTreeSet::new(),
            woken: Vec::new(),
            last_id: 0,
        }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// An id that no connection has or will have.
    pub(crate) fn reserve_connection_id(&mut self) -> ConnectionId {
        ConnectionId(self.next_id())
    }

    pub(crate) fn connect(&mut self) -> ConnectionId {
        let id = self.reserve_connection_id();
        self.connections.insert(id, Connection::default());
        id
    }

    pub(crate) fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// Forgets a connection. Its consumers' unsettled messages return to the queues.
    pub(crate) fn disconnect(&mut self, id: ConnectionId, now: u64) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        for link in connection.links {
            self.detach(link, Loss::Connection, now);
        }
        let exclusive: Vec<_> = self
            .queues
            .iter()
            .filter(|(_, slot)| slot.owner == Some(id))
            .map(|(queue, _)| *queue)
            .collect();
        for queue in exclusive {
            self.remove_queue(queue);
        }
        // Timers run in the connections' tasks: another connection must take over.
        if !self.timers.is_empty() {
            self.woken.extend(self.connections.keys().next());
        }
    }

    /// The connection's events, in order.
    pub(crate) fn take_events(&mut self, id: ConnectionId) -> VecDeque<Event> {
        self.connections
            .get_mut(&id)
            .map(|connection| std::mem::take(&mut connection.events))
            .unwrap_or_default()
    }

    /// Connections that have something to do.
    pub(crate) fn take_woken(&mut self) -> Vec<ConnectionId> {
        std::mem::take(&mut self.woken)
    }

    fn tell(&mut self, id: ConnectionId, event: Event) {
        if let Some(connection) = self.connections.get_mut(&id) {
            if connection.events.is_empty() {
                self.woken.push(id);
            }
            connection.events.push_back(event);
        }
    }

    /// Does the work that is due, then assigns messages to consumers in all queues that have
    /// changed.
    pub(crate) fn dispatch(&mut self, now: u64) {
        while let Some((at, id)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            if let Some(slot) = self.queues.get_mut(&id) {
                slot.timer = None;
            }
            self.mark(id);
        }
        while let Some(id) = self.dirty.pop() {
            let Some(slot) = self.queues.get_mut(&id) else {
                continue;
            };
            slot.is_dirty = false;
            let dead = slot.queue.tick(now);
            for (link, sequence) in slot.queue.take_recalled() {
                let Some(held) = self.links.get(&link) else {
                    continue;
                };
                if let Some(connection) = self.connections.get_mut(&held.connection) {
                    if connection.events.is_empty() {
                        self.woken.push(held.connection);
                    }
                    connection.events.push_back(Event::Recall(link, sequence));
                }
            }
            while let Some(assignment) = slot.queue.assign(now) {
                let Some(link) = self.links.get(&assignment.link) else {
                    continue;
                };
                let delivery = Delivery {
                    link: assignment.link,
                    sequence: assignment.sequence,
                    message: assignment.message,
                    header: assignment.header,
                    pre_settled: assignment.pre_settled,
                };
                if let Some(connection) = self.connections.get_mut(&link.connection) {
                    if connection.events.is_empty() {
                        self.woken.push(link.connection);
                    }
                    connection.events.push_back(Event::Deliver(delivery));
                }
            }
            let due = slot.queue.next_due();
            if slot.timer != due {
                if let Some(at) = slot.timer {
                    self.timers.remove(&(at, id));
                }
                slot.timer = due;
                self.timers.extend(due.map(|at| (at, id)));
            }
            self.bury(id, dead, now);
        }
    }

    /// When [`Store::dispatch`] next has work to do, even without a change.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.timers.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests;
