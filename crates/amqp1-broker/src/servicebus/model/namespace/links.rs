//! Receiving links.

use super::*;
use crate::amqp::ids::LinkId;
use crate::servicebus::model::queue::Consumer;

/// What an attaching receiver asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    Messages,
    Session(String),
    /// The next free session, waiting until this time (Unix milliseconds).
    NextSession(u64),
}

/// The result of attaching a receiver.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Attached {
    Now,
    /// With this session, locked until this time.
    WithSession(String, u64),
    /// [`Event::Session`] will follow.
    Waits,
}

impl Namespace {
    /// A link's id, unique for the life of the namespace.
    pub(crate) fn new_link(&mut self) -> LinkId {
        self.last_id += 1;
        LinkId(self.last_id)
    }

    /// Attaches a receiver without credit.
    pub(crate) fn attach(
        &mut self,
        connection: ConnectionId,
        link: LinkId,
        node_id: NodeId,
        deletes: bool,
        wanted: Wanted,
        now: u64,
    ) -> Result<Attached, Error> {
        let node = self.node_mut(node_id);
        let node = node.ok_or_else(|| errors::no_entity("?"))?;
        let by_session = node.queue.settings.requires_session;
        let (session, attached) = match wanted {
            Wanted::Messages if by_session => {
                return Err(errors::not_allowed(format!(
                    "It is not possible for an entity that requires sessions to create a non-sessionful message receiver: '{}'.",
                    node.path
                )));
            }
            Wanted::Messages => (None, Attached::Now),
            Wanted::Session(_) | Wanted::NextSession(_) if !by_session => {
                return Err(errors::not_allowed(format!(
                    "A sessionful message receiver cannot be created on an entity that does not require sessions: '{}'.",
                    node.path
                )));
            }
            Wanted::Session(id) => match node.queue.accept_session(link, Some(&id), now) {
                Accepted::Granted { id, until } => {
                    (Some(id.clone()), Attached::WithSession(id, until))
                }
                _ => {
                    return Err(errors::error(
                        crate::servicebus::facts::condition::SESSION_CANNOT_BE_LOCKED,
                        format!("The requested session '{id}' cannot be accepted. It may be locked by another receiver."),
                    ));
                }
            },
            Wanted::NextSession(until) => match node.queue.accept_session(link, None, now) {
                Accepted::Granted { id, until } => {
                    (Some(id.clone()), Attached::WithSession(id, until))
                }
                _ => {
                    self.waiters.push(Waiter {
                        link,
                        node: node_id,
                        deletes,
                        until,
                    });
                    (None, Attached::Waits)
                }
            },
        };
        if attached != Attached::Waits {
            self.add_consumer(node_id, link, deletes, session);
        }
        let node = node_id;
        self.links.insert(link, Link { connection, node });
        Ok(attached)
    }

    fn add_consumer(&mut self, id: NodeId, link: LinkId, deletes: bool, session: Option<String>) {
        if let Some(queue) = self.queue_mut(id) {
            queue.consumers.push_back(Consumer {
                link,
                credit: 0,
                deletes,
                session,
            });
        }
    }

    /// Forgets a receiver.
    pub(crate) fn detach(&mut self, link: LinkId) {
        self.waiters.retain(|waiter| waiter.link != link);
        if let Some(Link { node, .. }) = self.links.remove(&link) {
            if let Some(queue) = self.queue_mut(node) {
                queue.remove_consumer(link);
            }
        }
    }

    fn receiver(&mut self, link: LinkId) -> Option<&mut Consumer> {
        let node = self.links.get(&link)?.node;
        self.queue_mut(node)?.consumer_mut(link)
    }

    pub(crate) fn set_credit(&mut self, link: LinkId, credit: u32) {
        if let Some(consumer) = self.receiver(link) {
            consumer.credit = credit;
        }
    }

    /// Takes away a link's remaining credit.
    pub(crate) fn drain(&mut self, link: LinkId) -> u32 {
        self.receiver(link)
            .map_or(0, |consumer| std::mem::take(&mut consumer.credit))
    }

    pub(crate) fn available(&self, link: LinkId) -> u32 {
        let node = self.links.get(&link).and_then(|l| self.nodes.get(l.node.0));
        node.map_or(0, |node| node.queue.available())
    }
}
