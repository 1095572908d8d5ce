//! Settles the deliveries that PHP holds.

use std::time::{Duration, Instant};

use super::{Receiver, ACCEPTED};
use crate::connection::protocol::tracker::{Confirmation, Tracked};
use crate::wire::frame::{self, State as DeliveryState};

/// The most acknowledgements that are gathered.
const MAX_GATHERED: u32 = 64;

/// If PHP needs less time for half of the prefetch, the other half is settled together with it: two
/// messages to the broker, with an answer each, take it longer than it gains by working meanwhile.
/// RabbitMQ 4.3 answers one request for credit of a link after the other, in about 0.5 ms.
const WORTHWHILE: Duration = Duration::from_micros(200);

impl Receiver {
    /// The delivery is not held any more (4).
    pub(super) fn let_go(&mut self, delivery_id: u32) {
        self.in_hand.remove(delivery_id);
        self.held = self.held.saturating_sub(1);
        if self.held == 0 && self.partial.is_none() {
            self.recalled.forget();
        }
    }

    /// Accepts a delivery that PHP holds; [`Receiver::flush`] reports it together with others. True
    /// if that must not wait: there are many, the broker is about to run out of credit while PHP
    /// waits, or half of the prefetch is settled and PHP is not quick. `now` is asked only then.
    pub fn accept(&mut self, delivery_id: u32, now: impl FnOnce() -> Instant) -> bool {
        match self.accepted.last_mut() {
            Some((_, last)) if last.wrapping_add(1) == delivery_id => *last = delivery_id,
            _ => self.accepted.push((delivery_id, delivery_id)),
        }
        self.accepted_count += 1;
        self.let_go(delivery_id);
        if self.is_starving() || self.accepted_count >= MAX_GATHERED {
            return true;
        }
        let is_half = self.accepted_count >= (self.credit.prefetch() / 2).max(1);
        let busy_since = self.taken_arrived.filter(|_| is_half);
        busy_since.is_some_and(|at| now().saturating_duration_since(at) >= WORTHWHILE)
    }

    /// Whether PHP waits, and credit must be granted for what may arrive. Credit for a few accepted
    /// ones is granted when they are reported.
    pub fn is_low(&self) -> bool {
        let few = self.accepted_count < MAX_GATHERED / 2;
        let held = self.held + if few { self.accepted_count } else { 0 };
        self.buffer.is_empty() && self.may_ask() && self.credit.is_low(held, true)
    }

    /// Whether PHP will wait, and little can arrive until the broker is told what was accepted.
    pub fn is_starving(&self) -> bool {
        let few = self.credit.prefetch() / 4;
        self.accepted_count > 0 && self.buffer.is_empty() && self.credit.granted() <= few
    }

    /// Reports accepted deliveries to the broker. True if anything was written.
    pub fn flush(&mut self, out: &mut Vec<u8>, channel: u16) -> bool {
        if self.accepted.is_empty() {
            return false;
        }
        for (first, last) in self.accepted.drain(..) {
            frame::encode_disposition(out, channel, first, last, true, &ACCEPTED);
        }
        self.accepted_count = 0;
        true
    }

    /// The number of accepted deliveries that the broker has not been told of.
    #[cfg(test)]
    pub fn gathered(&self) -> u32 {
        self.accepted_count
    }

    /// Settles one delivery with a state other than accepted, at once.
    pub fn settle(&mut self, out: &mut Vec<u8>, channel: u16, delivery_id: u32, state: &[u8]) {
        self.flush(out, channel);
        self.let_go(delivery_id);
        frame::encode_disposition(out, channel, delivery_id, delivery_id, true, state);
    }

    /// Settles one delivery and waits for the sender's own settlement (rcv-settle-mode second).
    pub fn settle_second(
        &mut self,
        out: &mut Vec<u8>,
        channel: u16,
        delivery_id: u32,
        state: &[u8],
        tracked: Tracked,
    ) {
        self.let_go(delivery_id);
        tracked.tracker.expect();
        self.confirming.push((delivery_id, tracked));
        frame::encode_disposition(out, channel, delivery_id, delivery_id, false, state);
    }

    /// Handles the sender's settlement of the deliveries `first..=last`.
    pub fn on_settled(&mut self, first: u32, last: u32, state: Option<&DeliveryState>) {
        let count = last.wrapping_sub(first);
        let settled = |id: u32| id.wrapping_sub(first) <= count;
        while let Some(at) = self.confirming.iter().position(|(id, _)| settled(*id)) {
            // Without a state, the sender has settled with our own.
            let outcome = state.map_or(Confirmation::Accepted, |state| {
                Confirmation::of(Some(state))
            });
            self.confirming.swap_remove(at).1.resolve(outcome);
        }
    }
}
