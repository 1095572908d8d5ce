//! Messages sent to entities: checked, kept until they are due, copied to subscriptions, forwarded.

use super::*;
use crate::clock::ms;
use crate::servicebus::facts::{self, condition, dead_letter};
use crate::servicebus::model::message::Message;

impl Namespace {
    /// Accepts all messages or none.
    pub(crate) fn publish(
        &mut self,
        id: NodeId,
        messages: Vec<Message>,
        now: u64,
    ) -> Result<(), Error> {
        self.check(id, &messages)?;
        for message in messages {
            match message.scheduled().filter(|due| *due > now) {
                Some(due) => {
                    self.hold(id, message, due, now);
                }
                None => self.admit(id, message, now),
            }
        }
        Ok(())
    }

    /// Stores messages until they are due. Returns their sequence numbers.
    pub(crate) fn schedule(
        &mut self,
        id: NodeId,
        messages: Vec<Message>,
        now: u64,
    ) -> Result<Vec<i64>, Error> {
        self.check(id, &messages)?;
        Ok(messages
            .into_iter()
            .map(|message| {
                let due = message.scheduled().unwrap_or(now).max(now);
                self.hold(id, message, due, now)
            })
            .collect())
    }

    fn check(&mut self, id: NodeId, messages: &[Message]) -> Result<(), Error> {
        let Some(node) = self.nodes.get(id.0) else {
            return Err(errors::no_entity("?"));
        };
        for message in messages {
            check(message, node.queue.settings.requires_session)?;
        }
        let size = messages.iter().map(Message::size).sum();
        if node.queue.has_room(size) {
            return Ok(());
        }
        Err(errors::error(
            condition::RESOURCE_LIMIT_EXCEEDED,
            format!(
                "The maximum entity size has been reached or exceeded for '{}'.",
                node.path
            ),
        ))
    }

    fn hold(&mut self, id: NodeId, message: Message, due: u64, now: u64) -> i64 {
        // A duplicate gets the same answer as a new message, but is not kept.
        let is_known = self.is_duplicate(id, &message, now);
        let Some(queue) = self.queue_mut(id) else {
            return 0;
        };
        let sequence = queue.schedule(message, due);
        if is_known {
            queue.cancel(sequence);
        }
        sequence
    }

    fn is_duplicate(&mut self, id: NodeId, message: &Message, now: u64) -> bool {
        let ids = self.nodes.get_mut(id.0).and_then(|n| n.duplicates.as_mut());
        match (ids, message.id()) {
            (Some(ids), Some(id)) => ids.is_known(&id, now),
            _ => false,
        }
    }

    fn admit(&mut self, id: NodeId, message: Message, now: u64) {
        if !self.is_duplicate(id, &message, now) {
            self.deliver(id, message, None, now, 0);
        }
    }

    /// Puts a message where it can be received: here, in subscriptions, or in the entity that this
    /// one forwards to.
    pub(super) fn deliver(
        &mut self,
        id: NodeId,
        mut message: Message,
        enqueue_sequence: Option<i64>,
        now: u64,
        hops: u32,
    ) {
        let Some(node) = self.nodes.get(id.0) else {
            return;
        };
        if let Some(subscriptions) = node.subscriptions.clone() {
            if let Some(longest) = node.queue.settings.default_ttl.map(ms) {
                message.live_at_most(longest);
            }
            for subscription in subscriptions {
                let Some(node) = self.nodes.get(subscription.0) else {
                    continue;
                };
                let rules = node
                    .rules
                    .iter()
                    .filter(|rule| rule.filter.matches(&message));
                let rules: Vec<_> = rules.collect();
                if rules.is_empty() {
                    continue;
                }
                let mut copy = message.clone();
                for change in rules.into_iter().flat_map(|rule| &rule.changes) {
                    change.apply(&mut copy);
                }
                self.deliver(subscription, copy, enqueue_sequence, now, hops);
            }
            return;
        }
        let requires_session = node.queue.settings.requires_session;
        let forward = node.queue.settings.forward_to.clone();
        if let Some(target) = forward.and_then(|path| self.find(&path)) {
            if hops >= facts::MAX_FORWARDS {
                return self.bury(
                    id,
                    message,
                    enqueue_sequence,
                    dead_letter::TOO_MANY_HOPS,
                    now,
                );
            }
            return self.pass_on(target, message, enqueue_sequence, now, hops + 1);
        }
        if message.properties.message_id.is_none() {
            message.assign_id();
        }
        // Its sender cannot be told: it sent to the topic, or to the queue that forwards.
        if requires_session && message.session_id().is_none() {
            return self.bury(id, message, enqueue_sequence, dead_letter::NO_SESSION, now);
        }
        if let Some(queue) = self.queue_mut(id) {
            queue.enqueue(message, enqueue_sequence, now);
        }
    }

    /// Puts a message into another entity, which applies its own duplicate detection.
    pub(super) fn pass_on(
        &mut self,
        target: NodeId,
        message: Message,
        enqueue_sequence: Option<i64>,
        now: u64,
        hops: u32,
    ) {
        if !self.is_duplicate(target, &message, now) {
            self.deliver(target, message, enqueue_sequence, now, hops);
        }
    }

    /// Puts a message that cannot be received here into the dead letters. These are not forwarded,
    /// because that could go on for ever.
    fn bury(
        &mut self,
        id: NodeId,
        message: Message,
        enqueue_sequence: Option<i64>,
        why: (&str, &str),
        now: u64,
    ) {
        let Some(node) = self.node_mut(id) else {
            return;
        };
        let dead_letters = node.dead_letters;
        let given_up = node
            .queue
            .give_up_at_once(message, enqueue_sequence, why, now);
        let queue = dead_letters.and_then(|id| self.queue_mut(id));
        if let (Some(queue), Some((entry, sequence))) = (queue, given_up) {
            queue.bury(entry, sequence);
        }
    }
}

/// The service's checks of a message.
fn check(message: &Message, requires_session: bool) -> Result<(), Error> {
    let refuse = |text: String| Err(errors::error(condition::ARGUMENT_ERROR, text));
    for (name, id) in [
        ("message-id", message.id().as_deref()),
        ("session-id (group-id)", message.session_id()),
    ] {
        if id.is_some_and(|id| id.chars().count() > facts::MAX_ID) {
            return refuse(format!(
                "{name} is longer than {} characters",
                facts::MAX_ID
            ));
        }
    }
    let (longest, all) = message.application_sizes();
    if longest > facts::MAX_PROPERTY || all > facts::MAX_PROPERTIES {
        return refuse(format!(
            "an application property is larger than {} octets, or all of them than {}",
            facts::MAX_PROPERTY,
            facts::MAX_PROPERTIES
        ));
    }
    if requires_session && message.session_id().is_none() {
        return Err(errors::not_allowed(
            "The SessionId was not set on a message, and it cannot be sent to the entity. Entities that have session support enabled can only receive messages that have the SessionId set to a valid value.",
        ));
    }
    Ok(())
}
