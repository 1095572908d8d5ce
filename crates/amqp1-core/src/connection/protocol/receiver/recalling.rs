//! Deliveries that the broker takes back: it sends `released` for those we have not settled.
//!
//! From 4.3 on, RabbitMQ does so if a consumer holds a delivery for longer than the consumer
//! timeout. The job then goes to another consumer. The broker sends the first consumer nothing more
//! until it has settled what was taken back. This is done as soon as PHP no longer holds it, and
//! with the credit taken back: otherwise the broker would send more jobs to a process that is too
//! busy for them.
//!
//! RabbitMQ 4.3.6 may report only the first delivery, and those that arrived just after it only
//! when the consumer has answered. By then, PHP would hold them. Therefore the whole buffer is
//! returned when the first is taken back. RabbitMQ also forgets credit granted before it has the
//! last answer, so none is granted until then.

use super::recalled::{has, Range};
use super::{Receiver, RELEASED};
use crate::base::counters::CONNECTIONS;
use crate::base::events::{Event, EventKind};
use crate::base::threads;
use crate::wire::frame;

impl Receiver {
    /// Handles a range that the broker has taken back and that we must settle. PHP never sees those
    /// it has not seen yet (5).
    pub fn on_released(&mut self, range: Range) {
        let Self {
            buffer,
            watch,
            recalled,
            ..
        } = self;
        recalled.add(range);
        buffer.retain(|incoming| {
            let kept = incoming.settled || !has(range, incoming.delivery_id);
            if !kept {
                recalled.drop_unseen(incoming.delivery_id);
                if let Some(watch) = watch {
                    watch.forget(&incoming.tag);
                }
            }
            kept
        });
        if self.held as usize > self.buffer.len() + self.recalled.dropped().len() {
            threads::tell_lost();
            self.tell_taken_back(range);
        }
        for id in self.recalled.dropped() {
            self.in_hand.remove(*id);
        }
        // A wait in progress must ask again.
        self.signal.raise();
    }

    fn tell_taken_back(&self, range: Range) {
        let Some(queue) = &self.buffer.queue else {
            return;
        };
        // Without a record of them, there is at least one.
        let count = self.in_hand.count_of(range).max(1) as u64;
        CONNECTIONS.taken_back.add(count);
        threads::emit(|| Event {
            role: Some("consume"),
            queue: Some(queue.queue.clone()),
            count: Some(count),
            ..Event::new(EventKind::TakenBack, &queue.endpoint)
        });
    }

    /// Whether the broker has taken back a delivery that PHP holds.
    pub fn is_recalled(&self, delivery_id: u32) -> bool {
        !self.recalled.is_empty() && self.recalled.contains(delivery_id)
    }

    /// Whether PHP holds deliveries that were taken back, so that the broker sends nothing more.
    pub fn is_blocked(&self) -> bool {
        !self.recalled.is_empty() && self.has_recalled_in_hand()
    }

    /// Ends PHP's hold on a delivery that the broker has taken back. After the last of them, the
    /// broker is told. False if it was not taken back and can be settled normally.
    pub fn settle_recalled(&mut self, out: &mut Vec<u8>, channel: u16, delivery_id: u32) -> bool {
        if !self.is_recalled(delivery_id) {
            return false;
        }
        self.in_hand.remove(delivery_id);
        self.recalled.drop_unseen(delivery_id);
        if !self.is_blocked() {
            self.settle_dropped(out, channel);
            // A signal handler may settle it while PHP waits for the next one.
            self.signal.raise();
        }
        true
    }

    /// Whether PHP no longer holds something that was taken back: see [`Receiver::settle_dropped`].
    pub fn has_dropped(&self) -> bool {
        !self.recalled.is_empty() && self.recalled.has_dropped()
    }

    /// Settles deliveries that were taken back and that PHP no longer holds, with the broker's own
    /// outcome.
    ///
    /// It sends as few dispositions as possible: a RabbitMQ that has not processed all of them (32)
    /// looks at the credit before the last one, and forgets it.
    pub fn settle_dropped(&mut self, out: &mut Vec<u8>, channel: u16) {
        self.flush(out, channel);
        let mut dropped = self.recalled.take_dropped();
        dropped.iter().for_each(|id| self.in_hand.remove(*id));
        // Ids wrap.
        let middle = dropped.first().map_or(0, |id| id.wrapping_sub(1 << 31));
        dropped.sort_unstable_by_key(|id| id.wrapping_sub(middle));
        let mut ranges: Vec<Range> = Vec::new();
        for id in dropped {
            // Ids in between are settled already, unless PHP holds one.
            match ranges.last_mut() {
                Some((first, last)) if !self.has_in_hand((*first, id)) => *last = id,
                _ => ranges.push((id, id)),
            }
            self.let_go(id);
        }
        for (first, last) in ranges {
            frame::encode_disposition(out, channel, first, last, true, &RELEASED);
        }
    }

    /// Records that PHP has abandoned a delivery without settling it. It stays unsettled until
    /// the link ends or the broker takes it back.
    pub fn abandon(&mut self, out: &mut Vec<u8>, channel: u16, delivery_id: u32) {
        if !self.settle_recalled(out, channel, delivery_id) {
            self.recalled.abandon(delivery_id);
        }
    }
}
