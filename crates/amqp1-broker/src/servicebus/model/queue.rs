//! The queue of an entity, a subscription or a dead-letter sub-queue.

mod receiving;
mod settling;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde_amqp::Value;

use super::entry::{Entry, Lock, State};
use super::message::{Message, Stamp};
use super::sessions::{Accepted, Sessions};
use super::token::LockToken;
use crate::amqp::ids::LinkId;
use crate::servicebus::facts::dead_letter;
use crate::servicebus::settings::QueueSettings;

pub(crate) use settling::Modifications;

/// An effect outside the queue, which the namespace applies.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Move it to the dead letters; its properties contain the reason.
    Dead(Box<Entry>, i64),
    /// A scheduled message is due.
    Due(Box<Message>),
    /// A link has lost its session.
    SessionLost(LinkId, String),
}

/// A message assigned to a link.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) link: LinkId,
    pub(crate) token: LockToken,
    pub(crate) pre_settled: bool,
    pub(crate) message: Message,
    pub(crate) stamp: Stamp,
}

/// The named lock is not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost;

/// A receiving link.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) link: LinkId,
    pub(crate) credit: u32,
    /// Whether it uses receive-and-delete.
    pub(crate) deletes: bool,
    /// The session that it holds.
    pub(crate) session: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) settings: QueueSettings,
    /// Whether it holds dead letters, which neither expire nor reach a delivery limit.
    pub(crate) is_dead_letters: bool,
    messages: BTreeMap<i64, Entry>,
    /// Messages that can be received and belong to no session.
    ready: BTreeSet<i64>,
    pub(crate) sessions: Sessions,
    locks: HashMap<LockToken, i64>,
    /// Messages' timers, soonest first.
    timers: BTreeSet<(u64, i64)>,
    last_sequence: i64,
    pub(crate) consumers: VecDeque<Consumer>,
    size: u64,
    effects: Vec<Effect>,
}

/// Counts of a queue's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) active: u64,
    pub(crate) locked: u64,
    pub(crate) deferred: u64,
    pub(crate) scheduled: u64,
}

impl Queue {
    pub(crate) fn new(settings: QueueSettings, is_dead_letters: bool) -> Self {
        Self {
            settings,
            is_dead_letters,
            messages: BTreeMap::new(),
            ready: BTreeSet::new(),
            sessions: Sessions::default(),
            locks: HashMap::new(),
            timers: BTreeSet::new(),
            last_sequence: 0,
            consumers: VecDeque::new(),
            size: 0,
            effects: Vec::new(),
        }
    }

    /// Requires sessions from now on; messages without one are dead-lettered.
    pub(crate) fn require_sessions(&mut self) {
        let sequences: Vec<i64> = self.messages.keys().copied().collect();
        for sequence in sequences {
            self.unindex(sequence);
            self.settings.requires_session = true;
            self.index(sequence);
            let entry = self.messages.get(&sequence);
            if entry.is_some_and(|entry| entry.message.session_id().is_none()) {
                if let Some(entry) = self.remove(sequence) {
                    self.give_up(entry, sequence, dead_letter::NO_SESSION);
                }
            }
        }
        self.settings.requires_session = true;
    }

    /// Whether messages of this size still fit.
    pub(crate) fn has_room(&self, size: u64) -> bool {
        self.size.saturating_add(size) <= self.settings.max_size
    }

    /// Adds a message that can be received at once; returns its sequence number. `enqueue_sequence`
    /// is the number that it had in an earlier entity.
    pub(crate) fn enqueue(
        &mut self,
        message: Message,
        enqueue_sequence: Option<i64>,
        now: u64,
    ) -> i64 {
        let sequence = self.next_sequence();
        let own = self.settings.default_ttl.map(crate::clock::ms);
        let ttl = match (message.ttl.map(u64::from), own) {
            (Some(ttl), Some(own)) => Some(ttl.min(own)),
            (ttl, own) => ttl.or(own),
        };
        let entry = Entry {
            message,
            enqueued_at: now,
            enqueue_sequence: enqueue_sequence.unwrap_or(sequence),
            delivery_count: 0,
            state: State::Active,
            lock: None,
            expires_at: ttl.map(|ttl| now.saturating_add(ttl)),
        };
        self.insert(sequence, entry);
        sequence
    }

    /// Makes a dead letter of a message that cannot be received here; returns it with its sequence
    /// number.
    pub(crate) fn give_up_at_once(
        &mut self,
        message: Message,
        enqueue_sequence: Option<i64>,
        why: (&str, &str),
        now: u64,
    ) -> Option<(Entry, i64)> {
        let sequence = self.enqueue(message, enqueue_sequence, now);
        let mut entry = self.remove(sequence)?;
        entry.message.set_application(reasons(why));
        Some((entry, sequence))
    }

    /// Stores a message until it is due.
    pub(crate) fn schedule(&mut self, message: Message, due: u64) -> i64 {
        let sequence = self.next_sequence();
        let entry = Entry {
            message,
            enqueued_at: due,
            enqueue_sequence: sequence,
            delivery_count: 0,
            state: State::Scheduled(due),
            lock: None,
            expires_at: None,
        };
        self.insert(sequence, entry);
        sequence
    }

    /// Adds a dead letter unchanged. It keeps its sequence number, because sub-queues share their
    /// entity's store.
    pub(crate) fn bury(&mut self, mut entry: Entry, sequence: i64) {
        entry.state = State::Active;
        entry.lock = None;
        entry.expires_at = None;
        self.last_sequence = self.last_sequence.max(sequence);
        self.insert(sequence, entry);
    }

    /// Removes a scheduled message; false if there is none with this number.
    pub(crate) fn cancel(&mut self, sequence: i64) -> bool {
        let is_scheduled = |e: &Entry| matches!(e.state, State::Scheduled(_));
        let is_there = self.messages.get(&sequence).is_some_and(is_scheduled);
        if is_there {
            self.remove(sequence);
        }
        is_there
    }

    /// Expires locks and messages, and makes scheduled messages due.
    pub(crate) fn tick(&mut self, now: u64) {
        for (session, link) in self.sessions.expired(now) {
            self.release_session(&session, true);
            self.effects.push(Effect::SessionLost(link, session));
        }
        while let Some((at, sequence)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            let Some(entry) = self.messages.get(&sequence) else {
                self.timers.remove(&(at, sequence));
                continue;
            };
            if entry.lock.is_some() {
                self.unlock(sequence, true);
            } else if matches!(entry.state, State::Scheduled(_)) {
                if let Some(entry) = self.remove(sequence) {
                    self.effects.push(Effect::Due(Box::new(entry.message)));
                }
            } else if let Some(entry) = self.remove(sequence) {
                if self.settings.dead_letter_on_expiration {
                    self.give_up(entry, sequence, dead_letter::EXPIRED);
                }
            }
        }
    }

    /// When [`Queue::tick`] next has work to do.
    pub(crate) fn due(&self) -> Option<u64> {
        let timer = self.timers.first().map(|(at, _)| *at);
        match (timer, self.sessions.due()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for entry in self.messages.values() {
            match (entry.state, entry.lock) {
                (_, Some(_)) => counts.locked += 1,
                (State::Active, _) => counts.active += 1,
                (State::Deferred, _) => counts.deferred += 1,
                (State::Scheduled(_), _) => counts.scheduled += 1,
            }
        }
        counts
    }

    fn next_sequence(&mut self) -> i64 {
        self.last_sequence += 1;
        self.last_sequence
    }

    fn insert(&mut self, sequence: i64, entry: Entry) {
        self.size += entry.message.size();
        self.messages.insert(sequence, entry);
        self.index(sequence);
    }

    fn remove(&mut self, sequence: i64) -> Option<Entry> {
        self.unindex(sequence);
        let entry = self.messages.remove(&sequence)?;
        if let Some(lock) = entry.lock {
            self.locks.remove(&lock.token);
        }
        self.size = self.size.saturating_sub(entry.message.size());
        Some(entry)
    }

    /// Changes a message and updates the indexes.
    fn change(&mut self, sequence: i64, change: impl FnOnce(&mut Entry)) {
        self.unindex(sequence);
        if let Some(entry) = self.messages.get_mut(&sequence) {
            if let Some(lock) = entry.lock {
                self.locks.remove(&lock.token);
            }
            change(entry);
        }
        self.index(sequence);
    }

    fn index(&mut self, sequence: i64) {
        let Some(entry) = self.messages.get(&sequence) else {
            return;
        };
        if let Some(due) = entry.due() {
            self.timers.insert((due, sequence));
        }
        if let Some(lock) = entry.lock {
            self.locks.insert(lock.token, sequence);
        }
        if entry.is_ready() {
            match entry.message.session_id() {
                Some(id) if self.settings.requires_session => {
                    self.sessions.entry(id).ready.insert(sequence);
                }
                _ => {
                    self.ready.insert(sequence);
                }
            }
        }
    }

    fn unindex(&mut self, sequence: i64) {
        let Some(entry) = self.messages.get(&sequence) else {
            return;
        };
        if let Some(due) = entry.due() {
            self.timers.remove(&(due, sequence));
        }
        self.ready.remove(&sequence);
        if let Some(id) = entry.message.session_id() {
            if let Some(session) = self.sessions.get_mut(id) {
                session.ready.remove(&sequence);
            }
        }
    }

    /// Unlocks a message. `counts` says whether this was a failed delivery.
    fn unlock(&mut self, sequence: i64, counts: bool) {
        let max = self.settings.max_delivery_count;
        let mut is_over = false;
        self.change(sequence, |entry| {
            entry.lock = None;
            if counts {
                entry.delivery_count = entry.delivery_count.saturating_add(1);
                is_over = entry.delivery_count >= max;
            }
        });
        if is_over && !self.is_dead_letters {
            if let Some(entry) = self.remove(sequence) {
                self.give_up(entry, sequence, dead_letter::MAX_DELIVERY_COUNT);
            }
        }
    }

    fn give_up(&mut self, mut entry: Entry, sequence: i64, why: (&str, &str)) {
        entry.message.set_application(reasons(why));
        self.effects.push(Effect::Dead(Box::new(entry), sequence));
    }
}

/// The properties that say why a message is a dead letter.
fn reasons((reason, description): (&str, &str)) -> [(String, Value); 2] {
    [
        (dead_letter::REASON.to_owned(), reason.into()),
        (dead_letter::DESCRIPTION.to_owned(), description.into()),
    ]
}
