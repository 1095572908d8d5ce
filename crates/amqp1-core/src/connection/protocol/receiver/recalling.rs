//! Deliveries that the broker has taken back: it says `released` of what we have not settled.
//!
//! RabbitMQ does so from 4.3 on with what a consumer holds for longer than the consumer
//! timeout. The job is somebody else's by then. The broker sends such a consumer nothing more
//! until it has settled what was taken back. That is done as soon as nobody has it in hand; with
//! the credit taken back, as a process that is busy would only be sent what it does not come to
//! do either.
//!
//! RabbitMQ 4.3.6 may say it of the first delivery alone, and of those that came just behind it
//! only when the consumer has answered: by then they would be in PHP's hands. So all that
//! is buffered goes back when the first is taken. Credit that it is granted before it has
//! the last answer it forgets: none is granted until then.

use super::recalled::{has, Range};
use super::{Receiver, RELEASED};
use crate::base::lost;
use crate::wire::frame;

impl Receiver {
    /// The broker has taken back the deliveries of the range, and waits for us to settle
    /// them. What PHP has not seen it never sees (5).
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
            lost::tell();
        }
        for id in self.recalled.dropped() {
            self.in_hand.remove(*id);
        }
        // A wait that is under way has to ask again.
        self.signal.raise();
    }

    /// The broker has taken back a delivery in PHP's hands.
    pub fn is_recalled(&self, delivery_id: u32) -> bool {
        !self.recalled.is_empty() && self.recalled.contains(delivery_id)
    }

    /// PHP has deliveries that were taken back: the broker sends nothing more.
    pub fn is_blocked(&self) -> bool {
        !self.recalled.is_empty() && self.has_recalled_in_hand()
    }

    /// PHP is done with a delivery that the broker has taken back. With the last of them the
    /// broker is told. False when it was not taken back: it can be settled as is wanted.
    pub fn settle_recalled(&mut self, out: &mut Vec<u8>, channel: u16, delivery_id: u32) -> bool {
        if !self.is_recalled(delivery_id) {
            return false;
        }
        self.in_hand.remove(delivery_id);
        self.recalled.drop_unseen(delivery_id);
        if !self.is_blocked() {
            self.settle_dropped(out, channel);
            // A handler of a signal may settle it while PHP waits for the next one.
            self.signal.raise();
        }
        true
    }

    /// Something was taken back and is in nobody's hands: see [`Receiver::settle_dropped`].
    pub fn has_dropped(&self) -> bool {
        !self.recalled.is_empty() && self.recalled.has_dropped()
    }

    /// Settles what was taken back and is in nobody's hands, as the broker said itself.
    ///
    /// With as few dispositions as can be: a RabbitMQ that is behind with its own (32 of them)
    /// looks at the credit before it looks at the last of them, and forgets it.
    pub fn settle_dropped(&mut self, out: &mut Vec<u8>, channel: u16) {
        self.flush(out, channel);
        let mut dropped = self.recalled.take_dropped();
        dropped.iter().for_each(|id| self.in_hand.remove(*id));
        // They wrap.
        let middle = dropped.first().map_or(0, |id| id.wrapping_sub(1 << 31));
        dropped.sort_unstable_by_key(|id| id.wrapping_sub(middle));
        let mut ranges: Vec<Range> = Vec::new();
        for id in dropped {
            // What lies between is settled, if it is in nobody's hands.
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

    /// PHP has let go of a delivery without settling it: it stays unsettled until the link
    /// ends, or the broker takes it back.
    pub fn abandon(&mut self, out: &mut Vec<u8>, channel: u16, delivery_id: u32) {
        if !self.settle_recalled(out, channel, delivery_id) {
            self.recalled.abandon(delivery_id);
        }
    }
}
