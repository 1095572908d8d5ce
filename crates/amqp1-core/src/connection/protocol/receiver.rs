//! The receiving end of a link: credit, reassembly, the buffer, settlement.

mod drain;
mod recalled;
mod returns;
mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use fe2o3_amqp_types::performatives::Attach;

use self::drain::Drain;
use self::recalled::Recalled;
use self::returns::Returns;
use super::link::{Phase, MAX_MESSAGE_SIZE};
use super::terminus::Ask;
use super::tracker::{Outcome, Tracked};
use super::watch::Watch;
use crate::base::lost;
use crate::base::wait::Signal;
use crate::error::Error;
use crate::wire::frame::{self, State as DeliveryState, Transfer};
use crate::wire::DecodeError;

/// Acknowledgements gathered at the most.
const MAX_GATHERED: u32 = 64;

/// A delivery as it came.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub delivery_id: u32,
    pub payload: Bytes,
    /// The broker has settled it: it will not come again.
    pub settled: bool,
    /// delivery-tag
    pub tag: Bytes,
    /// When the bytes were read that made it whole.
    pub arrived: Instant,
}

#[derive(Debug)]
struct Partial {
    delivery_id: u32,
    settled: bool,
    tag: Bytes,
    bytes: BytesMut,
}

#[derive(Debug)]
pub(crate) struct Receiver {
    pub name: String,
    pub phase: Phase,
    /// What was asked of the source.
    pub ask: Ask,
    /// The broker's answer to the attach.
    pub answer: Option<Arc<Attach>>,
    pub remote_handle: Option<u32>,
    /// Raised when there is something in an empty buffer, or the link is over.
    pub signal: Signal,
    /// Deliveries that may be unsettled at once.
    prefetch: u32,
    /// See [`Receiver::in_windows`].
    whole_windows: bool,
    /// See [`Receiver::answered_early`].
    early: bool,
    /// Credit is granted when it is asked for, and never renewed.
    on_demand: bool,
    /// The broker has nothing more for the credit it was granted on demand.
    drained: bool,
    /// Whether a standing receiver has asked if there is more.
    drain: Drain,
    /// Until when a broker that does not drain may take to send what it has.
    expected: Option<Instant>,
    credit: u32,
    /// Credit taken back: deliveries that were already on their way use it.
    revoked: u32,
    delivery_count: u32,
    /// Delivered, not settled: in the buffer or in PHP's hands.
    held: u32,
    buffer: VecDeque<Incoming>,
    partial: Option<Partial>,
    /// Accepted, not yet told to the broker.
    accepted: Vec<(u32, u32)>,
    accepted_count: u32,
    /// Handed out and not settled, where the broker locks them: it has to be told when the
    /// link ends. `None` where the link's end is enough.
    in_hand: Option<Vec<u32>>,
    /// Settled by us, not yet confirmed by a sender that settles second.
    confirming: Vec<(u32, Tracked)>,
    /// Taken back by the broker.
    recalled: Recalled,
    /// Going back before PHP has seen it.
    returns: Returns,
    /// How long a delivery may wait for PHP, where the broker takes back what is held.
    patience: Option<Duration>,
    /// Hears of what comes and goes.
    watch: Option<Arc<dyn Watch>>,
}

impl Receiver {
    pub fn new(name: String, prefetch: u32, signal: Signal) -> Self {
        Self {
            name,
            phase: Phase::Attaching,
            ask: Ask::Nothing,
            answer: None,
            remote_handle: None,
            signal,
            prefetch,
            whole_windows: false,
            early: false,
            on_demand: false,
            drained: false,
            drain: Drain::None,
            expected: None,
            credit: 0,
            revoked: 0,
            delivery_count: 0,
            held: 0,
            buffer: VecDeque::new(),
            partial: None,
            accepted: Vec::new(),
            accepted_count: 0,
            in_hand: None,
            confirming: Vec::new(),
            recalled: Recalled::default(),
            returns: Returns::default(),
            patience: None,
            watch: None,
        }
    }

    /// A receiver of a broker that does not take back what is in hand when the link ends: it
    /// is told.
    pub fn releasing_in_hand(mut self, releases: bool) -> Self {
        self.in_hand = releases.then(Vec::new);
        self
    }

    pub fn watched(mut self, watch: Option<Arc<dyn Watch>>) -> Self {
        self.watch = watch;
        self
    }

    fn let_go(&mut self, delivery_id: u32) {
        self.note_let_go(delivery_id);
        self.held = self.held.saturating_sub(1);
        if self.held == 0 && self.partial.is_none() {
            self.recalled.forget();
        }
        if let Some(in_hand) = &mut self.in_hand {
            in_hand.retain(|id| *id != delivery_id);
        }
    }

    /// Credit is granted when all of the last one is used up, not before: RabbitMQ 3
    /// counts credit from deliveries that it has not sent yet, and sends too many.
    pub fn in_windows(mut self, whole_windows: bool) -> Self {
        self.whole_windows = whole_windows;
        self
    }

    /// Credit for `count` deliveries, besides what was granted; never renewed.
    pub fn demand(&mut self, count: u32) {
        self.on_demand = true;
        self.drained = false;
        self.credit = self.credit.saturating_add(count);
    }

    /// The broker has answered a drain: what it had has come.
    pub fn is_drained(&self) -> bool {
        self.drained
    }

    /// The broker's answer to the attach.
    pub fn on_attach(&mut self, answer: Arc<Attach>) {
        self.remote_handle = Some(answer.handle.0);
        self.delivery_count = answer.initial_delivery_count.unwrap_or(0);
        self.answer = Some(answer);
    }

    /// One transfer frame, which was read at `now`.
    ///
    /// # Errors
    /// [`DecodeError`] when the peer breaks the rules of 2.6.14 or sends without credit.
    pub fn on_transfer(
        &mut self,
        transfer: Transfer,
        payload: Bytes,
        now: Instant,
    ) -> Result<(), DecodeError> {
        // What crosses our detach is nobody's: it is not settled, and comes again.
        if matches!(self.phase, Phase::Detached(_)) {
            return Ok(());
        }
        let whole = match self.partial.take() {
            None => {
                let delivery_id = transfer
                    .delivery_id
                    .ok_or(DecodeError("a delivery without its id"))?;
                if self.credit == 0 && self.revoked == 0 {
                    return Err(DecodeError("a delivery without credit"));
                }
                Partial {
                    delivery_id,
                    settled: transfer.settled,
                    tag: transfer.delivery_tag,
                    bytes: BytesMut::new(),
                }
            }
            Some(partial) => partial,
        };
        if transfer.aborted {
            self.spend_credit();
            return Ok(());
        }
        let mut whole = whole;
        whole.settled |= transfer.settled;
        if !transfer.more && whole.bytes.is_empty() {
            self.deliver(whole, payload, now);
            return Ok(());
        }
        if whole.bytes.len() as u64 + payload.len() as u64 > MAX_MESSAGE_SIZE {
            return Err(DecodeError("a message larger than the max-message-size"));
        }
        whole.bytes.extend_from_slice(&payload);
        if transfer.more {
            self.partial = Some(whole);
        } else {
            let payload = std::mem::take(&mut whole.bytes).freeze();
            self.deliver(whole, payload, now);
        }
        Ok(())
    }

    fn spend_credit(&mut self) {
        if self.credit == 0 {
            self.revoked = self.revoked.saturating_sub(1);
        }
        self.credit = self.credit.saturating_sub(1);
        self.delivery_count = self.delivery_count.wrapping_add(1);
        self.end_drain_without_credit();
    }

    fn deliver(&mut self, whole: Partial, payload: Bytes, now: Instant) {
        let Partial {
            delivery_id,
            settled,
            tag,
            ..
        } = whole;
        self.spend_credit();
        self.held += 1;
        self.expect_after_delivery(now);
        // Taken back between its frames.
        if self.is_recalled(delivery_id) && !settled {
            self.recalled.drop_unseen(delivery_id);
            return;
        }
        if !settled && self.is_unwelcome(delivery_id, &payload) {
            return;
        }
        // What comes after the link's end is nobody's.
        let is_wanted = !settled && !matches!(self.phase, Phase::Detached(_));
        if let Some(watch) = self.watch.as_ref().filter(|_| is_wanted) {
            watch.arrived(&tag, &payload);
        }
        self.buffer.push_back(Incoming {
            delivery_id,
            payload,
            settled,
            tag,
            arrived: now,
        });
        if self.buffer.len() == 1 {
            self.signal.raise();
        }
    }

    /// The next delivery for PHP.
    pub fn take(&mut self) -> Option<Incoming> {
        self.returns.note_asking(self.buffer.is_empty());
        let incoming = self.buffer.pop_front()?;
        if incoming.settled {
            self.held = self.held.saturating_sub(1);
        } else if let Some(in_hand) = &mut self.in_hand {
            in_hand.push(incoming.delivery_id);
        }
        self.note_in_hand(&incoming);
        Some(incoming)
    }

    /// A delivery in PHP's hands is done; told to the broker with others of its
    /// kind by [`Receiver::flush`]. True when that must not wait: there are many,
    /// or the broker is about to run out of credit.
    pub fn accept(&mut self, delivery_id: u32) -> bool {
        match self.accepted.last_mut() {
            Some((_, last)) if last.wrapping_add(1) == delivery_id => *last = delivery_id,
            _ => self.accepted.push((delivery_id, delivery_id)),
        }
        self.accepted_count += 1;
        self.let_go(delivery_id);
        let starving = self.buffer.is_empty() && self.credit <= self.prefetch / 4;
        starving || self.accepted_count >= (self.prefetch / 2).clamp(1, MAX_GATHERED)
    }

    /// Tells the broker what was accepted. True if anything was written.
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

    /// Settles one delivery with a state other than accepted, at once.
    pub fn settle(&mut self, out: &mut Vec<u8>, channel: u16, delivery_id: u32, state: &[u8]) {
        self.flush(out, channel);
        self.let_go(delivery_id);
        frame::encode_disposition(out, channel, delivery_id, delivery_id, true, state);
    }

    /// Settles one delivery and awaits that the sender does so too (rcv-settle-mode second).
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

    /// The sender has settled the deliveries `first..=last`.
    pub fn on_settled(&mut self, first: u32, last: u32, state: Option<&DeliveryState>) {
        let count = last.wrapping_sub(first);
        let settled = |id: u32| id.wrapping_sub(first) <= count;
        while let Some(at) = self.confirming.iter().position(|(id, _)| settled(*id)) {
            // No state: it has settled what we said.
            let outcome = state.map_or(Outcome::Accepted, |state| Outcome::of(Some(state)));
            self.confirming.swap_remove(at).1.resolve(outcome);
        }
    }

    /// How much credit to grant now, when it is worth a flow frame.
    pub fn wanted_credit(&mut self, now: Instant) -> Option<u32> {
        if self.phase != Phase::Attached || self.prefetch == 0 || self.on_demand {
            return None;
        }
        if self.is_blocked() {
            return None;
        }
        if self.returns.is_careful() {
            return self.careful_credit();
        }
        // A drain's answer says how much of this credit was used.
        if self.drain != Drain::None || (self.whole_windows && self.credit > 0) {
            return None;
        }
        let free = self.prefetch.saturating_sub(self.held);
        let missing = free.saturating_sub(self.credit);
        let worth = (self.prefetch / 2).max(1);
        (missing >= worth || (self.credit == 0 && missing > 0)).then(|| {
            // The broker counts from the same delivery: what it may still send of
            // the credit that was taken back is part of the new one.
            self.revoked = self.revoked.saturating_sub(free - self.credit);
            self.credit = free;
            self.expect_after_grant(now);
            free
        })
    }

    /// The prefetch, zero while paused: takes effect with the next flow.
    pub fn set_prefetch(&mut self, prefetch: u32) -> bool {
        let changed = self.prefetch != prefetch;
        self.prefetch = prefetch;
        if prefetch == 0 {
            self.revoke_credit();
        }
        changed
    }

    /// Nothing is wanted: what still arrives goes back.
    pub fn is_paused(&self) -> bool {
        self.prefetch == 0 && !self.on_demand
    }

    /// Deliveries that the broker may still send.
    pub fn credit(&self) -> u32 {
        self.credit
    }

    /// Delivered, not settled.
    pub fn held(&self) -> u32 {
        self.held
    }

    /// Settled by the broker, not taken yet.
    #[cfg(test)]
    pub fn buffered_settled(&self) -> u32 {
        self.buffer.iter().filter(|one| one.settled).count() as u32
    }

    /// The delivery-count as we count it.
    #[cfg(test)]
    pub fn delivery_count(&self) -> u32 {
        self.delivery_count
    }

    /// The delivery-count for a flow: not said before the broker has said where it begins (2.7.4).
    pub fn known_count(&self) -> Option<u32> {
        self.answer.is_some().then_some(self.delivery_count)
    }

    /// Gives back what was handed out and is not settled, where that is needed.
    pub fn release_in_hand(&mut self, out: &mut Vec<u8>, channel: u16) {
        for id in self.in_hand.take().unwrap_or_default() {
            frame::encode_disposition(out, channel, id, id, true, &RELEASED);
        }
    }

    /// The link is over: what is buffered will be delivered again by the broker.
    pub fn fail(&mut self, error: &Error) {
        if matches!(self.phase, Phase::Detached(_)) {
            return;
        }
        self.phase = Phase::Detached(error.clone());
        if self.held as usize > self.buffer.len() {
            lost::tell();
        }
        if let Some(watch) = &self.watch {
            let unsettled = self.buffer.iter().filter(|incoming| !incoming.settled);
            unsettled.for_each(|incoming| watch.forget(&incoming.tag));
        }
        for (_, tracked) in self.confirming.drain(..) {
            tracked.resolve(Outcome::Lost(error.clone()));
        }
        self.buffer.clear();
        self.partial = None;
        self.accepted.clear();
        self.signal.raise();
    }
}

/// `accepted` as it is written in a disposition.
const ACCEPTED: [u8; 4] = [0x00, 0x53, 0x24, 0x45];
/// `released` as it is written in a disposition.
const RELEASED: [u8; 4] = [0x00, 0x53, 0x26, 0x45];

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
