//! How long consumers may hold messages: the consumer timeout of RabbitMQ 4.3's quorum queues
//! (<https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout>).
//!
//! A message held for longer returns to the queue. Its consumer is told, and gets no more messages
//! until it has settled those taken back.

use std::collections::{BTreeSet, HashSet};

use super::{Queue, Sequence};
use crate::amqp::ids::LinkId;

/// How much longer a delivery that was not sent yet is left alone, in milliseconds.
const UNSENT: u64 = 1000;

#[derive(Debug, Default)]
pub(crate) struct ConsumerTimeout {
    /// Held deliveries, by the end of their time.
    ends: BTreeSet<(u64, Sequence)>,
    /// Deliveries taken back that their link has not settled since.
    recalled: HashSet<(LinkId, Sequence)>,
    /// Links to notify.
    news: Vec<(LinkId, Sequence)>,
}

impl ConsumerTimeout {
    /// Starts a delivery's time.
    pub(super) fn begin(&mut self, until: u64, sequence: Sequence) {
        self.ends.insert((until, sequence));
    }

    /// Ends a delivery's time.
    pub(super) fn end(&mut self, until: Option<u64>, sequence: Sequence) {
        if let Some(until) = until {
            self.ends.remove(&(until, sequence));
        }
    }

    /// Takes the next delivery that was held for too long.
    pub(super) fn over(&mut self, now: u64) -> Option<Sequence> {
        let (at, sequence) = self.ends.first().copied()?;
        if at > now {
            return None;
        }
        self.ends.pop_first();
        Some(sequence)
    }

    pub(super) fn next_due(&self) -> Option<u64> {
        self.ends.first().map(|(at, _)| *at)
    }

    /// Records that a delivery was taken back from its link.
    pub(super) fn recall(&mut self, link: LinkId, sequence: Sequence) {
        self.recalled.insert((link, sequence));
        self.news.push((link, sequence));
    }

    /// Records that the link settled a delivery. True if it was the last of those taken back from
    /// it.
    pub(super) fn settled(&mut self, link: LinkId, sequence: Sequence) -> bool {
        self.recalled.remove(&(link, sequence))
            && !self.recalled.iter().any(|(other, _)| *other == link)
    }

    pub(super) fn forget(&mut self, link: LinkId) {
        self.recalled.retain(|(other, _)| *other != link);
        self.news.retain(|(other, _)| *other != link);
    }

    /// The deliveries taken back since the last call.
    pub(super) fn take_news(&mut self) -> Vec<(LinkId, Sequence)> {
        std::mem::take(&mut self.news)
    }
}

impl Queue {
    /// Takes back deliveries that consumers hold for too long.
    pub(super) fn recall(&mut self, now: u64) {
        while let Some(sequence) = self.consumer_timeout.over(now) {
            let Some(mut acquired) = self.acquired.remove(&sequence) else {
                continue;
            };
            match self
                .consumers
                .get_mut(acquired.link)
                .filter(|_| acquired.sent)
            {
                Some(consumer) => {
                    consumer.is_suspended = true;
                    self.consumer_timeout.recall(acquired.link, sequence);
                    self.put_ready(acquired.entry);
                }
                // Its connection has not sent it yet.
                None => {
                    let later = now.saturating_add(UNSENT);
                    acquired.until = Some(later);
                    self.consumer_timeout.begin(later, sequence);
                    self.acquired.insert(sequence, acquired);
                }
            }
        }
    }

    /// Handles a link's settlement of a delivery. True if the link now gets messages again, because
    /// it was the last of those taken back.
    pub(crate) fn resume(&mut self, link: LinkId, sequence: Sequence) -> bool {
        let is_last = self.consumer_timeout.settled(link, sequence);
        match self.consumers.get_mut(link).filter(|_| is_last) {
            Some(consumer) => {
                consumer.is_suspended = false;
                true
            }
            None => false,
        }
    }

    /// The links to notify, each with the delivery that was taken back.
    pub(crate) fn take_recalled(&mut self) -> Vec<(LinkId, Sequence)> {
        self.consumer_timeout.take_news()
    }
}
