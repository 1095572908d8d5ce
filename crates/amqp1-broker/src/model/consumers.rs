//! A queue's consumers: their credit, and whose turn it is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// One link endpoint of the broker, unique over its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LinkId(pub(crate) u64);

/// Deliveries that may wait for a connection to send them. A consumer whose connection is stuck
/// holds no more than these, whatever its credit; the others go on.
pub(crate) const MAX_UNSENT: u32 = 512;

/// One consumer.
#[derive(Debug, Clone)]
pub(crate) struct Consumer {
    /// Deliveries it may still be given (AMQP 1.0 section 2.6.7).
    pub(crate) credit: u32,
    /// Deliveries it was given that its connection has not sent.
    pub(crate) unsent: u32,
    /// Link property `rabbitmq:priority`; higher first, default 0.
    pub(crate) priority: i32,
    /// Deliveries are settled as they are sent.
    pub(crate) pre_settled: bool,
}

impl Consumer {
    fn is_eligible(&self) -> bool {
        self.credit > 0 && self.unsent < MAX_UNSENT
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Consumers {
    by_link: HashMap<LinkId, Consumer>,
    turns: BTreeMap<Reverse<i32>, VecDeque<LinkId>>,
}

impl Consumers {
    pub(crate) fn len(&self) -> usize {
        self.by_link.len()
    }

    pub(crate) fn get_mut(&mut self, link: LinkId) -> Option<&mut Consumer> {
        self.by_link.get_mut(&link)
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = LinkId> + '_ {
        self.by_link.keys().copied()
    }

    pub(crate) fn add(&mut self, link: LinkId, consumer: Consumer) {
        let turns = self.turns.entry(Reverse(consumer.priority)).or_default();
        turns.push_back(link);
        self.by_link.insert(link, consumer);
    }

    pub(crate) fn remove(&mut self, link: LinkId) {
        let Some(consumer) = self.by_link.remove(&link) else {
            return;
        };
        let key = Reverse(consumer.priority);
        if let Some(turns) = self.turns.get_mut(&key) {
            turns.retain(|l| *l != link);
            if turns.is_empty() {
                self.turns.remove(&key);
            }
        }
    }

    /// Whose turn it is: the next one with credit among those of the highest priority that have
    /// any. Takes one credit of it.
    pub(crate) fn next(&mut self) -> Option<(LinkId, &Consumer)> {
        let mut found = None;
        'priorities: for turns in self.turns.values_mut() {
            for _ in 0..turns.len() {
                let Some(link) = turns.pop_front() else { break };
                turns.push_back(link);
                if self.by_link.get(&link).is_some_and(Consumer::is_eligible) {
                    found = Some(link);
                    break 'priorities;
                }
            }
        }
        let link = found?;
        let consumer = self.by_link.get_mut(&link)?;
        consumer.credit -= 1;
        consumer.unsent += 1;
        Some((link, consumer))
    }
}
