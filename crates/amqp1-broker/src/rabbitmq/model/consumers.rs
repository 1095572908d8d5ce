//! A queue's consumers: their credit, and which one is next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::amqp::ids::LinkId;

/// The most deliveries that may wait to be sent to one consumer. A stuck connection thus holds no
/// more than these, whatever its credit, and other consumers continue.
pub(crate) const MAX_UNSENT: u32 = 512;

/// One consumer.
#[derive(Debug, Clone)]
pub(crate) struct Consumer {
    /// Deliveries that it may still be given (AMQP 1.0 section 2.6.7).
    pub(crate) credit: u32,
    /// Deliveries assigned to it that its connection has not sent yet.
    pub(crate) unsent: u32,
    /// Link property `rabbitmq:priority`; higher values go first, default 0.
    pub(crate) priority: i32,
    /// Whether deliveries are settled when they are sent.
    pub(crate) pre_settled: bool,
    /// How long it may hold a delivery, in milliseconds; `None`: the queue's timeout.
    pub(crate) timeout: Option<u64>,
    /// Whether it gets no more messages because it has not settled those that were taken back.
    pub(crate) is_suspended: bool,
}

impl Consumer {
    fn is_eligible(&self) -> bool {
        self.credit > 0 && self.unsent < MAX_UNSENT && !self.is_suspended
    }
}

#[derive(Debug, Default)]
pub(crate) struct Consumers {
    by_link: HashMap<LinkId, Consumer>,
    turns: BTreeMap<Reverse<i32>, VecDeque<LinkId>>,
    /// The consumer being served, if the queue has a single active consumer.
    active: Option<LinkId>,
    single_active: bool,
}

impl Consumers {
    /// No consumers yet. With `single_active`, only one at a time is served, until it leaves.
    pub(crate) fn new(single_active: bool) -> Self {
        Self {
            single_active,
            ..Self::default()
        }
    }

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
        self.active.get_or_insert(link);
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
        if self.active == Some(link) {
            // Among the highest priority, the one that has waited longest.
            let first = self.turns.values().next();
            self.active = first.and_then(|turns| turns.iter().min().copied());
        }
    }

    /// The next consumer in turn with credit, at the highest priority that has one. Uses one of its
    /// credits.
    pub(crate) fn next(&mut self) -> Option<(LinkId, &Consumer)> {
        let mut found = None;
        'priorities: for turns in self.turns.values_mut() {
            for _ in 0..turns.len() {
                let Some(link) = turns.pop_front() else { break };
                turns.push_back(link);
                if self.single_active && self.active != Some(link) {
                    continue;
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(priority: i32) -> Consumer {
        Consumer {
            credit: 10,
            unsent: 0,
            priority,
            pre_settled: false,
            timeout: None,
            is_suspended: false,
        }
    }

    #[test]
    fn a_single_active_consumer_is_served_until_it_is_gone() {
        let mut consumers = Consumers::new(true);
        for link in [1, 2, 3] {
            consumers.add(LinkId(link), consumer(0));
        }
        let next = |consumers: &mut Consumers| consumers.next().map(|(link, _)| link.0);
        assert_eq!([next(&mut consumers), next(&mut consumers)], [Some(1); 2]);
        consumers.remove(LinkId(2));
        assert_eq!(next(&mut consumers), Some(1));
        consumers.remove(LinkId(1));
        assert_eq!([next(&mut consumers), next(&mut consumers)], [Some(3); 2]);
        consumers.remove(LinkId(3));
        assert_eq!(next(&mut consumers), None);
        consumers.add(LinkId(4), consumer(0));
        assert_eq!(next(&mut consumers), Some(4));
    }
}
