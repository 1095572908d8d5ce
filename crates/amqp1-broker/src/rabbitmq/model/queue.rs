//! A queue: messages that are ready, delayed, or acquired by a consumer.

mod consumer_timeout;
pub(crate) mod peeking;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fe2o3_amqp_types::definitions::{AmqpError, Error};

use self::consumer_timeout::ConsumerTimeout;
use super::arguments::{Declaration, Overflow};
use super::consumers::Consumers;
use super::errors;
use super::message::{redelivery_time, DeliveryHeader, Message, REDELIVERY_TIME};
use super::outcome::{Cause, Dead, Loss, Outcome};
use crate::amqp::ids::LinkId;
use crate::amqp::parts::QueueCounts;

/// A message's number in its queue, in order of arrival.
pub(crate) type Sequence = u64;

/// A position among the ready messages: by priority, then by order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// 255 - priority.
    rank: u8,
    sequence: Sequence,
}

#[derive(Debug)]
struct Entry {
    sequence: Sequence,
    message: Message,
    delivery_count: u32,
    /// How often it was sent to a link before.
    acquired_count: u32,
    /// Unix milliseconds; the last one in which the message is still alive.
    expires_at: Option<u64>,
    trail: Vec<Arc<str>>,
}

impl Entry {
    fn place(&self) -> Place {
        Place {
            rank: u8::MAX - self.message.priority,
            sequence: self.sequence,
        }
    }
}

/// A delayed message.
#[derive(Debug)]
struct Delayed {
    entry: Box<Entry>,
    /// A scheduled message arrives when it is due, after the messages already there. A message
    /// whose redelivery was delayed returns to its old position.
    arrives: bool,
}

#[derive(Debug)]
struct Acquired {
    entry: Box<Entry>,
    link: LinkId,
    /// Whether the connection has sent it. An unsent delivery returns as if it had never been
    /// assigned.
    sent: bool,
    pre_settled: bool,
    /// When its consumer must have settled it, in Unix milliseconds.
    until: Option<u64>,
}

/// A message assigned to a consumer.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) link: LinkId,
    pub(crate) sequence: Sequence,
    pub(crate) message: Message,
    pub(crate) header: DeliveryHeader,
    pub(crate) pre_settled: bool,
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) name: Arc<str>,
    pub(crate) declaration: Declaration,
    pub(crate) consumers: Consumers,
    ready: BTreeMap<Place, Box<Entry>>,
    ready_octets: u64,
    /// Ready messages with an expiry, soonest first.
    expiring: BTreeSet<(u64, Place)>,
    /// By due time.
    delayed: BTreeMap<(u64, Sequence), Delayed>,
    acquired: HashMap<Sequence, Acquired>,
    consumer_timeout: ConsumerTimeout,
    next_sequence: Sequence,
}

impl Queue {
    pub(crate) fn new(name: Arc<str>, declaration: Declaration) -> Self {
        Self {
            name,
            consumers: Consumers::new(declaration.single_active_consumer),
            declaration,
            ready: BTreeMap::new(),
            ready_octets: 0,
            expiring: BTreeSet::new(),
            delayed: BTreeMap::new(),
            acquired: HashMap::new(),
            consumer_timeout: ConsumerTimeout::default(),
            next_sequence: 0,
        }
    }

    pub(crate) fn counts(&self) -> QueueCounts {
        QueueCounts {
            ready: self.ready.len() as u64,
            delayed: self.delayed.len() as u64,
            unsettled: self.acquired.len() as u64,
            consumers: u32::try_from(self.consumers.len()).unwrap_or(u32::MAX),
        }
    }

    /// Adds a message; a scheduled one waits until it is due. The error is for rejecting the
    /// publisher's delivery. Returns the messages dropped to make room.
    pub(crate) fn enqueue(&mut self, message: Message, now: u64) -> Result<Vec<Dead>, Error> {
        let due = message.due(now);
        self.admit(message, due, Vec::new(), now)
    }

    /// Adds a message that left another queue. Annotations that delay its first delivery have
    /// already taken effect there.
    pub(crate) fn enqueue_dead(
        &mut self,
        message: Message,
        trail: Vec<Arc<str>>,
        now: u64,
    ) -> Result<Vec<Dead>, Error> {
        self.admit(message, None, trail, now)
    }

    fn admit(
        &mut self,
        message: Message,
        due: Option<u64>,
        trail: Vec<Arc<str>>,
        now: u64,
    ) -> Result<Vec<Dead>, Error> {
        let octets = message.size() as u64;
        if self.declaration.overflow == Overflow::RejectPublish && self.is_over(1, octets) {
            return Err(errors::error(
                AmqpError::ResourceLimitExceeded,
                format!("queue '{}' has reached its maximum length", self.name),
            ));
        }
        let sequence = self.take_sequence();
        let entry = Box::new(Entry {
            sequence,
            expires_at: self.expiry(&message, due.unwrap_or(now)),
            message,
            delivery_count: 0,
            acquired_count: 0,
            trail,
        });
        match due {
            Some(due) => {
                let arrives = true;
                self.delayed
                    .insert((due, sequence), Delayed { entry, arrives });
            }
            None => self.put_ready(entry),
        }
        Ok(self.make_room())
    }

    fn take_sequence(&mut self) -> Sequence {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        sequence
    }

    /// The earliest of header.ttl, absolute-expiry-time and `x-message-ttl`. Time to live counts
    /// from the arrival, which for a scheduled message is its due time.
    fn expiry(&self, message: &Message, arrival: u64) -> Option<u64> {
        [
            message.ttl.map(|ttl| arrival.saturating_add(ttl.into())),
            self.declaration
                .message_ttl
                .map(|ttl| arrival.saturating_add(ttl)),
            message.absolute_expiry,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn is_over(&self, more: u64, more_octets: u64) -> bool {
        let over = |limit: Option<u64>, value: u64| limit.is_some_and(|limit| value > limit);
        over(self.declaration.max_length, self.ready.len() as u64 + more)
            || over(
                self.declaration.max_length_bytes,
                self.ready_octets + more_octets,
            )
    }

    fn make_room(&mut self) -> Vec<Dead> {
        let mut dead = Vec::new();
        while self.declaration.overflow == Overflow::DropHead && self.is_over(0, 0) {
            let Some(place) = self.ready.keys().next().copied() else {
                break;
            };
            dead.extend(self.give_up_ready(place, Cause::MaxLength));
        }
        dead
    }

    fn put_ready(&mut self, entry: Box<Entry>) {
        let place = entry.place();
        if let Some(at) = entry.expires_at {
            self.expiring.insert((at, place));
        }
        self.ready_octets += entry.message.size() as u64;
        self.ready.insert(place, entry);
    }

    fn take_ready(&mut self, place: Place) -> Option<Box<Entry>> {
        let entry = self.ready.remove(&place)?;
        if let Some(at) = entry.expires_at {
            self.expiring.remove(&(at, place));
        }
        self.ready_octets -= entry.message.size() as u64;
        Some(entry)
    }

    fn give_up_ready(&mut self, place: Place, cause: Cause) -> Option<Dead> {
        self.take_ready(place).map(|entry| self.dead(*entry, cause))
    }

    fn dead(&self, entry: Entry, cause: Cause) -> Dead {
        let mut trail = entry.trail;
        if cause.by_consumer() {
            trail.clear();
        } else {
            trail.push(self.name.clone());
        }
        Dead {
            message: entry.message,
            cause,
            trail,
        }
    }

    /// Makes due messages ready, and returns those that must leave the queue, such as expired ones.
    pub(crate) fn tick(&mut self, now: u64) -> Vec<Dead> {
        while let Some(first) = self.delayed.first_entry() {
            if first.key().0 > now {
                break;
            }
            let Delayed { mut entry, arrives } = first.remove();
            if arrives {
                entry.sequence = self.take_sequence();
            }
            self.put_ready(entry);
        }
        self.recall(now);
        let mut dead = Vec::new();
        while let Some((at, place)) = self.expiring.first().copied() {
            if at >= now {
                break;
            }
            self.expiring.pop_first();
            dead.extend(self.give_up_ready(place, Cause::Expired));
        }
        dead.extend(self.make_room());
        dead
    }

    /// When [`Queue::tick`] next has work to do.
    pub(crate) fn next_due(&self) -> Option<u64> {
        let due = self.delayed.keys().next().map(|(due, _)| *due);
        let expiry = self.expiring.first().map(|(at, _)| at.saturating_add(1));
        let recall = self.consumer_timeout.next_due();
        due.into_iter().chain(expiry).chain(recall).min()
    }

    /// Assigns the first ready message to the next consumer; `None` if there is no ready message or
    /// no consumer for it.
    pub(crate) fn assign(&mut self, now: u64) -> Option<Assignment> {
        let place = *self.ready.keys().next()?;
        let (link, consumer) = self.consumers.next()?;
        let pre_settled = consumer.pre_settled;
        let timeout = consumer.timeout.or(self.declaration.consumer_timeout);
        let until = timeout.filter(|_| !pre_settled);
        let until = until.map(|timeout| now.saturating_add(timeout));
        let entry = self.take_ready(place)?;
        // A message that arrived without a time to live leaves without one, even if the queue sets
        // one.
        let ttl = match (entry.message.ttl, entry.expires_at) {
            (Some(_), Some(at)) => Some(u32::try_from(at.saturating_sub(now)).unwrap_or(u32::MAX)),
            _ => None,
        };
        let assignment = Assignment {
            link,
            sequence: entry.sequence,
            message: entry.message.clone(),
            header: DeliveryHeader {
                ttl,
                first_acquirer: entry.acquired_count == 0,
                delivery_count: entry.delivery_count,
                acquired_count: entry.acquired_count,
            },
            pre_settled,
        };
        let acquired = Acquired {
            entry,
            link,
            sent: false,
            pre_settled,
            until,
        };
        if let Some(until) = until {
            self.consumer_timeout.begin(until, assignment.sequence);
        }
        self.acquired.insert(assignment.sequence, acquired);
        Some(assignment)
    }

    /// Records that the connection has sent the delivery. A pre-settled one is finished.
    pub(crate) fn sent(&mut self, link: LinkId, sequence: Sequence) {
        if let Some(consumer) = self.consumers.get_mut(link) {
            consumer.unsent = consumer.unsent.saturating_sub(1);
        }
        let Some(acquired) = self.acquired.get_mut(&sequence).filter(|a| a.link == link) else {
            return;
        };
        acquired.sent = true;
        acquired.entry.acquired_count = acquired.entry.acquired_count.saturating_add(1);
        if acquired.pre_settled {
            self.acquired.remove(&sequence);
        }
    }

    /// Takes back a delivery that was not sent, because its receiver reduced its credit.
    pub(crate) fn unassign(&mut self, link: LinkId, sequence: Sequence) {
        if let Some(consumer) = self.consumers.get_mut(link) {
            consumer.unsent = consumer.unsent.saturating_sub(1);
        }
        if let Some(acquired) = self.take_acquired(link, sequence) {
            self.put_ready(acquired.entry);
        }
    }

    fn take_acquired(&mut self, link: LinkId, sequence: Sequence) -> Option<Acquired> {
        if self.acquired.get(&sequence)?.link != link {
            return None;
        }
        let acquired = self.acquired.remove(&sequence)?;
        self.consumer_timeout.end(acquired.until, sequence);
        Some(acquired)
    }

    /// Settles a delivery with its receiver's outcome. Ignores a delivery that the link does not
    /// hold.
    pub(crate) fn settle(
        &mut self,
        link: LinkId,
        sequence: Sequence,
        outcome: Outcome,
        default_limit: Option<u32>,
        now: u64,
    ) -> Option<Dead> {
        let mut entry = self.take_acquired(link, sequence)?.entry;
        match outcome {
            Outcome::Accepted => None,
            Outcome::Rejected(error) => Some(self.dead(*entry, Cause::Rejected(error))),
            Outcome::Released => self.put_back(entry, false, None, default_limit, now),
            Outcome::Modified {
                delivery_failed,
                undeliverable_here,
                annotations,
            } => {
                let due = annotations
                    .as_ref()
                    .and_then(|map| redelivery_time(map.get(REDELIVERY_TIME)?));
                if let Some(map) = annotations {
                    entry.message.annotate(map);
                }
                if undeliverable_here {
                    return Some(self.dead(*entry, Cause::Rejected(None)));
                }
                self.put_back(entry, delivery_failed, due, default_limit, now)
            }
        }
    }

    /// Returns a message to its position, now or when it is due.
    fn put_back(
        &mut self,
        mut entry: Box<Entry>,
        failed: bool,
        due: Option<u64>,
        default_limit: Option<u32>,
        now: u64,
    ) -> Option<Dead> {
        if failed {
            entry.delivery_count = entry.delivery_count.saturating_add(1);
            let limit = self.declaration.delivery_limit.unwrap_or(default_limit);
            if limit.is_some_and(|limit| entry.delivery_count > limit) {
                return Some(self.dead(*entry, Cause::DeliveryLimit));
            }
        }
        let wait = self.declaration.retry_delay(failed, entry.delivery_count);
        let due = due.unwrap_or_else(|| now.saturating_add(wait));
        if due > now {
            let key = (due, entry.sequence);
            let arrives = false;
            self.delayed.insert(key, Delayed { entry, arrives });
        } else {
            self.put_ready(entry);
        }
        None
    }

    /// Removes a consumer. Its unsettled messages return to their positions.
    pub(crate) fn remove_consumer(
        &mut self,
        link: LinkId,
        loss: Loss,
        default_limit: Option<u32>,
        now: u64,
    ) -> Vec<Dead> {
        self.consumers.remove(link);
        self.consumer_timeout.forget(link);
        let mut held: Vec<Sequence> = self
            .acquired
            .iter()
            .filter(|(_, acquired)| acquired.link == link)
            .map(|(sequence, _)| *sequence)
            .collect();
        held.sort_unstable();
        let mut dead = Vec::new();
        for sequence in held {
            let Some(acquired) = self.take_acquired(link, sequence) else {
                continue;
            };
            let failed = loss == Loss::Connection;
            if acquired.sent {
                dead.extend(self.put_back(acquired.entry, failed, None, default_limit, now));
            } else {
                self.put_ready(acquired.entry);
            }
        }
        dead
    }

    /// Drops all ready messages and returns their number.
    pub(crate) fn purge(&mut self) -> u64 {
        let purged = self.ready.len() as u64;
        self.ready.clear();
        self.expiring.clear();
        self.ready_octets = 0;
        purged
    }
}

#[cfg(test)]
#[path = "queue_tests/mod.rs"]
mod tests;
