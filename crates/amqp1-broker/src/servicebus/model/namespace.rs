//! A namespace: its entities, the links attached to them, and the events for each connection.
//!
//! Calls change entities and remember which ones. [`Namespace::dispatch`] then assigns messages to
//! links. Each connection has a list of events to send.

mod entities;
mod links;
mod publishing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use fe2o3_amqp_types::definitions::Error;

use super::duplicates::Duplicates;
use super::errors;
use super::queue::{Assignment, Effect, Queue};
use super::rules::NamedRule;
use super::sessions::Accepted;
use super::token::LockToken;
use crate::amqp::ids::ConnectionId;
use crate::amqp::ids::LinkId;
use crate::servicebus::address;
use crate::servicebus::facts::annotation;
use crate::servicebus::faults::{Action, Fault};
use crate::servicebus::settings::QueueSettings;

pub(crate) use entities::Use;
pub(crate) use links::{Attached, Wanted};

/// The id of an entity or a sub-queue. None is ever deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(usize);

/// An action for a connection.
#[derive(Debug)]
pub(crate) enum Event {
    Deliver(NodeId, Box<Assignment>),
    /// The session that an attach waits for; `None`: it has waited for too long.
    Session(LinkId, Option<(String, u64)>),
    /// Detach and close a link. The namespace has already forgotten it.
    Detach(LinkId, Error),
    /// An injected fault happens now.
    Fault(Arc<Fault>),
}

#[derive(Debug)]
pub(crate) struct Node {
    /// With the case of its declaration.
    pub(crate) path: String,
    /// Its messages; a topic has only scheduled ones.
    pub(crate) queue: Queue,
    /// Only for a topic.
    pub(crate) subscriptions: Option<Vec<NodeId>>,
    /// Only for a subscription.
    pub(crate) rules: Vec<NamedRule>,
    /// `None` for a queue of dead letters, or a topic.
    dead_letters: Option<NodeId>,
    /// Whether it was created on first use and nobody has received from it yet. The first receiver
    /// decides whether it requires sessions.
    is_undecided: bool,
    duplicates: Option<Duplicates>,
}

impl Node {
    pub(crate) fn is_subscription(&self) -> bool {
        address::subscription(&self.path).is_some() && !self.queue.is_dead_letters
    }
}

#[derive(Debug)]
struct Link {
    connection: ConnectionId,
    node: NodeId,
}

/// An attach that waits for a session.
#[derive(Debug)]
struct Waiter {
    link: LinkId,
    node: NodeId,
    deletes: bool,
    /// Unix milliseconds.
    until: u64,
}

#[derive(Debug)]
pub(crate) struct Namespace {
    nodes: Vec<Node>,
    /// By path in lower case.
    names: HashMap<String, NodeId>,
    links: HashMap<LinkId, Link>,
    waiters: Vec<Waiter>,
    events: HashMap<ConnectionId, VecDeque<Event>>,
    woken: BTreeSet<ConnectionId>,
    dirty: BTreeSet<NodeId>,
    last_id: u64,
    create_on_use: bool,
    new_queue: QueueSettings,
    max_entities: usize,
}

impl Namespace {
    pub(crate) fn connect(&mut self) -> ConnectionId {
        self.last_id += 1;
        let id = ConnectionId(self.last_id);
        self.events.insert(id, VecDeque::new());
        id
    }

    pub(crate) fn disconnect(&mut self, id: ConnectionId) {
        let links = self.links.iter().filter(|(_, l)| l.connection == id);
        let links: Vec<LinkId> = links.map(|(link, _)| *link).collect();
        for link in links {
            self.detach(link);
        }
        self.events.remove(&id);
    }

    pub(crate) fn connection_count(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn take_events(&mut self, id: ConnectionId) -> VecDeque<Event> {
        self.events
            .get_mut(&id)
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Connections that have had new events since the last call.
    pub(crate) fn take_woken(&mut self) -> BTreeSet<ConnectionId> {
        std::mem::take(&mut self.woken)
    }

    /// Adds an event for a connection.
    pub(crate) fn tell(&mut self, connection: ConnectionId, event: Event) {
        if let Some(events) = self.events.get_mut(&connection) {
            events.push_back(event);
            self.woken.insert(connection);
        }
    }

    /// Makes a fault happen on the connections it concerns. Revokes locks itself.
    pub(crate) fn happen(&mut self, fault: Fault) {
        if fault.action == Action::LoseLock {
            for at in 0..self.nodes.len() {
                let concerned = self.nodes.get(at).is_some_and(|n| fault.concerns(&n.path));
                if let Some(queue) = self.queue_mut(NodeId(at)).filter(|_| concerned) {
                    queue.lose_all();
                }
            }
            return;
        }
        let fault = Arc::new(fault);
        let connections: Vec<ConnectionId> = self.events.keys().copied().collect();
        for connection in connections {
            self.tell(connection, Event::Fault(fault.clone()));
        }
    }

    fn tell_link(&mut self, link: LinkId, event: Event) {
        if let Some(connection) = self.links.get(&link).map(|l| l.connection) {
            self.tell(connection, event);
        }
    }

    pub(crate) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0)
    }

    /// An entity, marked as changed.
    pub(crate) fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.dirty.insert(id);
        self.nodes.get_mut(id.0)
    }

    /// An entity's queue, marked as changed.
    pub(crate) fn queue_mut(&mut self, id: NodeId) -> Option<&mut Queue> {
        self.node_mut(id).map(|node| &mut node.queue)
    }

    /// Takes back an assignment that was not sent, as if it had never been made.
    pub(crate) fn unassign(&mut self, id: NodeId, token: LockToken) {
        if let Some(queue) = self.queue_mut(id) {
            queue.unassign(token);
        }
    }

    /// When [`Namespace::dispatch`] next has work to do, even without a change.
    pub(crate) fn next_due(&self) -> Option<u64> {
        let queues = self.nodes.iter().filter_map(|node| node.queue.due());
        let waiters = self.waiters.iter().map(|waiter| waiter.until);
        queues.chain(waiters).min()
    }

    /// Does the work that is due, then assigns messages and sessions to waiting links.
    pub(crate) fn dispatch(&mut self, now: u64) {
        let is_due = |n: &Node| n.queue.due().is_some_and(|due| due <= now);
        let due = self.nodes.iter().enumerate().filter(|(_, n)| is_due(n));
        let due: Vec<NodeId> = due.map(|(at, _)| NodeId(at)).collect();
        self.dirty.extend(due);
        while let Some(id) = self.dirty.pop_first() {
            let Some(node) = self.nodes.get_mut(id.0) else {
                continue;
            };
            node.queue.tick(now);
            for effect in node.queue.take_effects() {
                self.carry_out(id, effect, now);
            }
            self.grant_sessions(id, now);
            self.assign(id, now);
        }
        self.give_up_waiting(now);
    }

    fn carry_out(&mut self, id: NodeId, effect: Effect, now: u64) {
        match effect {
            Effect::Due(message) => self.deliver(id, *message, None, now, 0),
            Effect::SessionLost(link, session) => {
                self.tell_link(
                    link,
                    Event::Detach(link, errors::session_lock_lost(&session)),
                );
                self.detach(link);
            }
            Effect::Dead(mut entry, sequence) => {
                let Some(node) = self.nodes.get(id.0) else {
                    return;
                };
                let forward = node.queue.settings.forward_dead_letters_to.clone();
                if let Some(target) = forward.and_then(|path| self.find(&path)) {
                    let source = node.path.clone();
                    entry
                        .message
                        .annotate(annotation::DEAD_LETTER_SOURCE, source.into());
                    self.pass_on(target, entry.message, Some(entry.enqueue_sequence), now, 1);
                } else if let Some(dead) = node.dead_letters {
                    if let Some(queue) = self.queue_mut(dead) {
                        queue.bury(*entry, sequence);
                    }
                }
            }
        }
    }

    fn assign(&mut self, id: NodeId, now: u64) {
        while let Some(assignment) = self
            .nodes
            .get_mut(id.0)
            .and_then(|node| node.queue.assign(now))
        {
            let link = assignment.link;
            self.tell_link(link, Event::Deliver(id, Box::new(assignment)));
        }
    }

    fn grant_sessions(&mut self, id: NodeId, now: u64) {
        let waiting = self.waiters.iter().filter(|waiter| waiter.node == id);
        let waiting: Vec<(LinkId, bool)> = waiting.map(|w| (w.link, w.deletes)).collect();
        for (link, deletes) in waiting {
            let Some(node) = self.nodes.get_mut(id.0) else {
                return;
            };
            let Accepted::Granted { id: session, until } =
                node.queue.accept_session(link, None, now)
            else {
                return;
            };
            node.queue.consumers.push_back(super::queue::Consumer {
                link,
                credit: 0,
                deletes,
                session: Some(session.clone()),
            });
            self.waiters.retain(|waiter| waiter.link != link);
            self.tell_link(link, Event::Session(link, Some((session, until))));
        }
    }

    fn give_up_waiting(&mut self, now: u64) {
        let over = self.waiters.iter().filter(|waiter| waiter.until <= now);
        let over: Vec<LinkId> = over.map(|waiter| waiter.link).collect();
        for link in over {
            self.tell_link(link, Event::Session(link, None));
            self.detach(link);
        }
    }
}
