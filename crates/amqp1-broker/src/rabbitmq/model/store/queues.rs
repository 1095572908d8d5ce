//! The store's queues: created, found, deleted.

use std::collections::hash_map::RandomState;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use fe2o3_amqp_types::definitions::{AmqpError, Error};

use super::{ConnectionId, Event, QueueId, Slot, Store};
use crate::rabbitmq::model::arguments::Declaration;
use crate::rabbitmq::model::errors;
use crate::rabbitmq::model::queue::Queue;

/// How the names of dynamic queues begin.
pub(super) const DYNAMIC: &str = "amq.dynamic-";

impl Store {
    pub(crate) fn queue(&self, name: &str) -> Option<&Queue> {
        let id = self.names.get(name)?;
        self.queues.get(id).map(|slot| &slot.queue)
    }

    pub(crate) fn queue_names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(|name| &**name)
    }

    /// Creates a queue. There must be none with that name.
    pub(crate) fn create_queue(
        &mut self,
        name: &str,
        declaration: Declaration,
        owner: Option<ConnectionId>,
    ) -> QueueId {
        let id = QueueId(self.next_id());
        let name: Arc<str> = name.into();
        let slot = Slot {
            queue: Queue::new(name.clone(), declaration),
            timer: None,
            is_dirty: false,
            publishers: HashSet::new(),
            owner,
        };
        self.queues.insert(id, slot);
        self.names.insert(name, id);
        id
    }

    /// Creates a queue for one link of this connection, which is deleted with the link. Returns its
    /// name.
    pub(crate) fn create_dynamic(&mut self, owner: ConnectionId) -> String {
        // Seeded at random, so that an address from before a restart leads nowhere.
        let random = RandomState::new().build_hasher().finish();
        let name = format!("{DYNAMIC}{}-{random:016x}", self.next_id());
        let declaration = Declaration {
            exclusive: true,
            auto_delete: true,
            ..Declaration::default()
        };
        self.create_queue(&name, declaration, Some(owner));
        name
    }

    /// Whether the queue is exclusive to another connection.
    pub(crate) fn is_locked(&self, name: &str, connection: ConnectionId) -> bool {
        self.names
            .get(name)
            .and_then(|id| self.queues.get(id)?.owner)
            .is_some_and(|owner| owner != connection)
    }

    /// Deletes a queue and detaches its links. Returns the number of ready messages.
    pub(crate) fn delete_queue(&mut self, name: &str) -> Option<u64> {
        let id = *self.names.get(name)?;
        self.remove_queue(id)
    }

    pub(super) fn remove_queue(&mut self, id: QueueId) -> Option<u64> {
        let slot = self.queues.remove(&id)?;
        let name = slot.queue.name.clone();
        self.names.remove(&name);
        if let Some(at) = slot.timer {
            self.timers.remove(&(at, id));
        }
        for exchange in self.exchanges.values_mut() {
            exchange.bindings.retain(|binding| *binding.queue != *name);
        }
        for link in slot.queue.consumers.links().chain(slot.publishers) {
            let Some(record) = self.links.remove(&link) else {
                continue;
            };
            if let Some(endpoint) = self.connections.get_mut(&record.connection) {
                endpoint.links.remove(&link);
            }
            let error = errors::error(
                AmqpError::ResourceDeleted,
                format!("queue '{name}' was deleted"),
            );
            self.tell(record.connection, Event::Detach(link, error));
        }
        Some(slot.queue.counts().ready)
    }

    /// Drops a queue's ready messages and returns their number.
    pub(crate) fn purge(&mut self, name: &str) -> Option<u64> {
        let id = *self.names.get(name)?;
        let purged = self.queues.get_mut(&id)?.queue.purge();
        self.mark(id);
        Some(purged)
    }

    /// The queue with this name, created if the policy allows.
    pub(super) fn queue_for_use(&mut self, name: &str) -> Result<QueueId, Error> {
        if let Some(id) = self.names.get(name) {
            return Ok(*id);
        }
        // The link of a dynamic queue is gone.
        if self.policy.create_on_use && !name.starts_with(DYNAMIC) {
            Ok(self.create_queue(name, Declaration::on_first_use(), None))
        } else {
            Err(errors::not_found("queue", name))
        }
    }

    pub(super) fn mark(&mut self, id: QueueId) {
        if let Some(slot) = self.queues.get_mut(&id) {
            if !slot.is_dirty {
                slot.is_dirty = true;
                self.dirty.push(id);
            }
        }
    }
}
