//! Incoming messages, and messages that move from one queue to another.

use super::queues::DYNAMIC;
use super::{Published, QueueId, Route, Store};
use crate::rabbitmq::model::address::Address;
use crate::rabbitmq::model::arguments::Declaration;
use crate::rabbitmq::model::errors;
use crate::rabbitmq::model::exchange::ExchangeType;
use crate::rabbitmq::model::message::Message;
use crate::rabbitmq::model::outcome::Dead;

/// The suffix of the dead-letter queue that every queue has without configuration.
const FAILED_SUFFIX: &str = ".failed";

impl Store {
    /// Publishes a message.
    pub(crate) fn publish(&mut self, route: &Route, message: Message, now: u64) -> Published {
        match route {
            Route::Queue(id) => self.enqueue(*id, message, now),
            Route::Exchange { name, key } => self.publish_exchange(name, key, message, now),
            Route::Anonymous => {
                let Some(to) = message.to() else {
                    return Published::Rejected(errors::precondition_failed(
                        "a message for the anonymous terminus needs properties.to",
                    ));
                };
                match Address::parse(to) {
                    Err(e) => Published::Rejected(errors::precondition_failed(e)),
                    Ok(Address::Queue(name))
                        if !self.names.contains_key(&*name)
                            && (!self.policy.create_on_use || name.starts_with(DYNAMIC)) =>
                    {
                        Published::Released
                    }
                    Ok(address) => match self.resolve(address) {
                        Err(e) => Published::Rejected(e),
                        Ok(route) => self.publish(&route, message, now),
                    },
                }
            }
        }
    }

    /// The queues that a key leads to; `None` if there is no such exchange.
    fn routed(&self, exchange: &str, key: &str) -> Option<Vec<QueueId>> {
        let queues = self.exchanges.get(exchange)?.route(key);
        let ids = queues.into_iter().filter_map(|queue| self.names.get(queue));
        Some(ids.copied().collect())
    }

    fn publish_exchange(
        &mut self,
        name: &str,
        key: &str,
        mut message: Message,
        now: u64,
    ) -> Published {
        let delayed = self.exchanges.get(name).map(|exchange| exchange.kind)
            == Some(ExchangeType::Delayed)
            && message.delay_by_plugin();
        let Some(queues) = self.routed(name, key) else {
            return Published::Rejected(errors::not_found("exchange", name));
        };
        let mut published = Published::Released;
        for id in queues {
            match self.enqueue(id, message.clone(), now) {
                Published::Rejected(e) => published = Published::Rejected(e),
                other if !matches!(published, Published::Rejected(_)) => published = other,
                _ => {}
            }
        }
        // The plugin keeps the message to itself. The publisher gets `released`, just as if no
        // queue were bound.
        if delayed {
            return Published::Released;
        }
        published
    }

    pub(super) fn enqueue(&mut self, id: QueueId, message: Message, now: u64) -> Published {
        let Some(slot) = self.queues.get_mut(&id) else {
            return Published::Released;
        };
        match slot.queue.enqueue(message, now) {
            Err(e) => Published::Rejected(e),
            Ok(dead) => {
                self.mark(id);
                self.bury(id, dead, now);
                Published::Accepted
            }
        }
    }

    /// Moves messages that left a queue to the dead-letter exchange of its declaration. Without
    /// one, messages that a consumer gave up go to `<queue>.failed`, and the others are dropped.
    pub(super) fn bury(&mut self, source: QueueId, dead: impl IntoIterator<Item = Dead>, now: u64) {
        // A list instead of recursion: full queues can push messages out along a chain of any
        // length.
        let mut work: Vec<(QueueId, Dead)> = dead.into_iter().map(|dead| (source, dead)).collect();
        while let Some((source, mut dead)) = work.pop() {
            let Some(slot) = self.queues.get(&source) else {
                continue;
            };
            let name = slot.queue.name.clone();
            let targets = self.dead_letter_targets(source, &dead);
            dead.message.annotate(dead.cause.annotations(&name));
            // It must not expire again.
            dead.message.ttl = None;
            dead.message.absolute_expiry = None;
            for id in targets {
                let Some(slot) = self.queues.get_mut(&id) else {
                    continue;
                };
                if dead.trail.contains(&slot.queue.name) {
                    continue;
                }
                let (message, trail) = (dead.message.clone(), dead.trail.clone());
                if let Ok(pushed_out) = slot.queue.enqueue_dead(message, trail, now) {
                    work.extend(pushed_out.into_iter().map(|dead| (id, dead)));
                    self.mark(id);
                }
            }
        }
    }

    fn dead_letter_targets(&mut self, source: QueueId, dead: &Dead) -> Vec<QueueId> {
        let Some(slot) = self.queues.get(&source) else {
            return Vec::new();
        };
        let (name, declaration) = (slot.queue.name.clone(), &slot.queue.declaration);
        let exchange = declaration.dead_letter_exchange.as_deref();
        let key = declaration.dead_letter_routing_key.as_deref();
        if exchange.is_none() && key.is_none() {
            // A failed queue has no failed queue of its own, or the chain would never end.
            return if dead.cause.by_consumer() && !name.ends_with(FAILED_SUFFIX) {
                vec![self.failed_queue(&name)]
            } else {
                Vec::new()
            };
        }
        let key = key.unwrap_or(&name);
        match exchange.filter(|exchange| !exchange.is_empty()) {
            None => self.names.get(key).copied().into_iter().collect(),
            Some(exchange) => self.routed(exchange, key).unwrap_or_default(),
        }
    }

    pub(super) fn failed_queue(&mut self, source: &str) -> QueueId {
        let name = format!("{source}{FAILED_SUFFIX}");
        match self.names.get(&*name) {
            Some(id) => *id,
            None => self.create_queue(&name, Declaration::on_first_use(), None),
        }
    }
}
