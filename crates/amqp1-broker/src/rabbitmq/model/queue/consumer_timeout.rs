//! How long consumers may hold messages: the consumer timeout of RabbitMQ 4.3's quorum queues
//! (<https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout>).
//!
//! What is held for longer goes back to the queue. Its consumer is told, and given nothing more
//! until it has settled what was taken back.

use std::collections::{BTreeSet, HashSet};

use super::{Queue, Sequence};
use crate::amqp::ids::LinkId;

/// How long what waits to be sent is left alone, in milliseconds.
const UNSENT: u64 = 1000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ConsumerTimeout {
    /// What is held, by the time it ends.
    ends: BTreeSet<(u64, Sequence)>,
    /// Taken back, and not settled since by the link that held it.
    recalled: HashSet<(LinkId, Sequence)>,
    /// Whom to tell.
    news: Vec<(LinkId, Sequence)>,
}

impl ConsumerTimeout {
    /// A delivery that may be held until then.
    pub(super) fn begin(&mut self, until: u64, sequence: Sequence) {
        self.ends.insert((until, sequence));
    }

    /// The delivery is held no more.
    pub(super) fn end(&mut self, until: Option<u64>, sequence: Sequence) {
        if let Some(until) = until {
            self.ends.remove(&(until, sequence));
        }
    }

    /// The next delivery that is held for too long.
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

    /// The delivery was taken from its link.
    pub(super) fn recall(&mut self, link: LinkId, sequence: Sequence) {
        self.recalled.insert((link, sequence));
        self.news.push((link, sequence));
    }

    /// The link has settled a delivery. True when that was the last of those taken from it.
    pub(super) fn settled(&mut self, link: LinkId, sequence: Sequence) -> bool {
        self.recalled.remove(&(link, sequence))
            && !self.recalled.iter().any(|(other, _)| *other == link)
    }

    pub(super) fn forget(&mut self, link: LinkId) {
        self.recalled.retain(|(other, _)| *other != link);
        self.news.retain(|(other, _)| *other != link);
    }

    /// What was taken from links since the last call.
    pub(super) fn take_news(&mut self) -> Vec<(LinkId, Sequence)> {
        std::mem::take(&mut self.news)
    }
}

impl Queue {
    /// Takes back what consumers hold for too long.
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
                // Its connection has not come to send it.
                None => {
                    let later = now.saturating_add(UNSENT);
                    acquired.until = Some(later);
                    self.consumer_timeout.begin(later, sequence);
                    self.acquired.insert(sequence, acquired);
                }
            }
        }
    }

    /// A link has settled a delivery. True when it is given more for that, as it was the last of
    /// those that were taken from it.
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

    /// Whom to tell of what was taken back.
    pub(crate) fn take_recalled(&mut self) -> Vec<(LinkId, Sequence)> {
        self.consumer_timeout.take_news()
    }
}
