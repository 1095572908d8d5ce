//! Deliveries that the broker has taken back: it says `released` of what we have not settled.
//!
//! RabbitMQ does so from 4.3 on with what a consumer holds for longer than the consumer
//! timeout. The job is somebody else's by then. The broker sends such a consumer nothing more
//! until it has settled what was taken back, so that has to be said in any case; but not
//! before PHP asks for a job again or is done with the one in hand: a process that is busy
//! would only be sent what it does not come to do either.

use super::{Receiver, RELEASED};
use crate::lost;

/// Ranges that are remembered, where PHP always has some delivery in its hands.
const MAX_RANGES: usize = 65_536;

/// The delivery-ids `first..=last` of a disposition.
pub(crate) type Range = (u32, u32);

/// Whether a range has the delivery-id, which wraps (RFC 1982).
pub(super) fn has((first, last): Range, id: u32) -> bool {
    id.wrapping_sub(first) <= last.wrapping_sub(first)
}

/// What was taken back of one link's deliveries.
#[derive(Debug, Default)]
pub(super) struct Recalled {
    /// What the broker said while PHP had deliveries in its hands.
    ranges: Vec<Range>,
    /// In nobody's hands: to be settled when PHP asks for the next one.
    dropped: Vec<u32>,
    /// PHP has let go of them without settling them; they may be taken back yet.
    abandoned: Vec<u32>,
}

impl Recalled {
    /// Nothing was taken back: the usual case.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.dropped.is_empty()
    }

    /// The broker has taken back these.
    pub fn add(&mut self, range: Range) {
        let is_taken = |id: &u32| has(range, *id);
        self.dropped
            .extend(self.abandoned.iter().copied().filter(is_taken));
        self.abandoned.retain(|id| !is_taken(id));
        if self.ranges.len() >= MAX_RANGES {
            self.ranges.remove(0);
        }
        self.ranges.push(range);
    }

    /// One of them is not in PHP's hands.
    pub fn drop_unseen(&mut self, id: u32) {
        self.dropped.push(id);
    }

    /// There is something to be settled.
    pub fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// PHP's delivery was taken back.
    pub fn contains(&self, id: u32) -> bool {
        self.ranges.iter().any(|range| has(*range, id))
    }

    /// PHP has let go of a delivery that it had not settled.
    pub fn abandon(&mut self, id: u32) {
        match self.contains(id) {
            true => self.dropped.push(id),
            false => self.abandoned.push(id),
        }
    }

    /// What is to be settled now.
    pub fn take_dropped(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.dropped)
    }

    /// No delivery is unsettled: what was said of earlier ones is of no more use.
    pub fn forget(&mut self) {
        self.ranges.clear();
        self.abandoned.clear();
    }
}

impl Receiver {
    /// The broker has taken back the deliveries of the range, and waits for us to settle
    /// them. What PHP has not seen it never sees.
    pub fn on_released(&mut self, range: Range) {
        let Self {
            buffer,
            locks,
            recalled,
            ..
        } = self;
        recalled.add(range);
        buffer.retain(|incoming| {
            let kept = incoming.settled || !has(range, incoming.delivery_id);
            if !kept {
                recalled.drop_unseen(incoming.delivery_id);
                if let Some(locks) = locks {
                    locks.forget(&incoming.tag);
                }
            }
            kept
        });
        if self.held as usize > self.buffer.len() + self.recalled.dropped.len() {
            lost::tell();
        }
        // A wait that is under way has to settle what is in nobody's hands.
        if self.recalled.has_dropped() {
            self.signal.raise();
        }
    }

    /// The broker has taken back a delivery in PHP's hands.
    pub fn is_recalled(&self, delivery_id: u32) -> bool {
        !self.recalled.is_empty() && self.recalled.contains(delivery_id)
    }

    /// Settles a delivery that the broker has taken back, as it said itself. False when it
    /// was not taken back: it can be settled as is wanted.
    pub fn settle_recalled(&mut self, out: &mut Vec<u8>, channel: u16, delivery_id: u32) -> bool {
        if !self.is_recalled(delivery_id) {
            return false;
        }
        self.settle(out, channel, delivery_id, &RELEASED);
        true
    }

    /// Something was taken back and is in nobody's hands: see [`Receiver::settle_dropped`].
    pub fn has_dropped(&self) -> bool {
        !self.recalled.is_empty() && self.recalled.has_dropped()
    }

    /// Settles what was taken back and is in nobody's hands.
    pub fn settle_dropped(&mut self, out: &mut Vec<u8>, channel: u16) {
        for id in self.recalled.take_dropped() {
            self.settle(out, channel, id, &RELEASED);
        }
    }

    /// PHP has let go of a delivery without settling it: it stays unsettled until the link
    /// ends, or the broker takes it back.
    pub fn abandon(&mut self, delivery_id: u32) {
        self.recalled.abandon(delivery_id);
    }
}
