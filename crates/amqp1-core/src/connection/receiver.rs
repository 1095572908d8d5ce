//! The receiving end of a link: credit, reassembly, the buffer, settlement.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::sender::Phase;
use crate::error::Error;
use crate::wait::Signal;
use crate::wire::frame::{self, Transfer};
use crate::wire::DecodeError;

/// The handle of our receiver in its session.
pub(crate) const HANDLE: u32 = 1;

/// Acknowledgements gathered at the most.
const MAX_GATHERED: u32 = 64;

/// The largest message that is taken, in bytes.
pub(crate) const MAX_MESSAGE_SIZE: u64 = 512 * 1024 * 1024;

/// A delivery as it came.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub delivery_id: u32,
    pub payload: Bytes,
    /// The broker has settled it: it will not come again.
    pub settled: bool,
}

#[derive(Debug)]
struct Partial {
    delivery_id: u32,
    settled: bool,
    bytes: BytesMut,
}

#[derive(Debug)]
pub(crate) struct Receiver {
    pub name: String,
    pub phase: Phase,
    pub remote_handle: Option<u32>,
    /// Raised when there is something in an empty buffer, or the link is over.
    pub signal: Signal,
    /// Deliveries that may be unsettled at once.
    prefetch: u32,
    /// See [`Receiver::in_windows`].
    whole_windows: bool,
    /// Credit is granted when it is asked for, and never renewed.
    on_demand: bool,
    /// The broker has nothing more for the credit it was granted on demand.
    drained: bool,
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
}

impl Receiver {
    pub fn new(name: String, prefetch: u32, signal: Signal) -> Self {
        Self {
            name,
            phase: Phase::Attaching,
            remote_handle: None,
            signal,
            prefetch,
            whole_windows: false,
            on_demand: false,
            drained: false,
            credit: 0,
            revoked: 0,
            delivery_count: 0,
            held: 0,
            buffer: VecDeque::new(),
            partial: None,
            accepted: Vec::new(),
            accepted_count: 0,
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

    /// The broker's `flow` on this link: after a drain it has advanced its
    /// delivery-count over the credit that is left (2.6.7).
    pub fn on_flow(&mut self, delivery_count: Option<u32>, credit: u32) {
        let end = self.delivery_count.wrapping_add(self.credit);
        // The answer to an earlier drain may come after credit was granted again.
        if !self.on_demand || credit > 0 || delivery_count != Some(end) {
            return;
        }
        self.delivery_count = end;
        self.credit = 0;
        self.drained = true;
        self.signal.raise();
    }

    /// The broker's initial delivery-count.
    pub fn on_attach(&mut self, delivery_count: u32) {
        self.delivery_count = delivery_count;
    }

    /// One transfer frame.
    ///
    /// # Errors
    /// [`DecodeError`] when the peer breaks the rules of 2.6.14 or sends without credit.
    pub fn on_transfer(&mut self, transfer: Transfer, payload: Bytes) -> Result<(), DecodeError> {
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
            self.deliver(whole.delivery_id, whole.settled, payload);
            return Ok(());
        }
        if whole.bytes.len() as u64 + payload.len() as u64 > MAX_MESSAGE_SIZE {
            return Err(DecodeError("a message larger than the max-message-size"));
        }
        whole.bytes.extend_from_slice(&payload);
        if transfer.more {
            self.partial = Some(whole);
        } else {
            self.deliver(whole.delivery_id, whole.settled, whole.bytes.freeze());
        }
        Ok(())
    }

    fn spend_credit(&mut self) {
        if self.credit == 0 {
            self.revoked = self.revoked.saturating_sub(1);
        }
        self.credit = self.credit.saturating_sub(1);
        self.delivery_count = self.delivery_count.wrapping_add(1);
    }

    fn deliver(&mut self, delivery_id: u32, settled: bool, payload: Bytes) {
        self.spend_credit();
        self.held += 1;
        self.buffer.push_back(Incoming {
            delivery_id,
            payload,
            settled,
        });
        if self.buffer.len() == 1 {
            self.signal.raise();
        }
    }

    /// The next delivery for PHP.
    pub fn take(&mut self) -> Option<Incoming> {
        let incoming = self.buffer.pop_front()?;
        if incoming.settled {
            self.held = self.held.saturating_sub(1);
        }
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
        self.held = self.held.saturating_sub(1);
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
        self.held = self.held.saturating_sub(1);
        frame::encode_disposition(out, channel, delivery_id, delivery_id, true, state);
    }

    /// How much credit to grant now, when it is worth a flow frame.
    pub fn wanted_credit(&mut self) -> Option<u32> {
        if self.phase != Phase::Attached || self.prefetch == 0 || self.on_demand {
            return None;
        }
        if self.whole_windows && self.credit > 0 {
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
            free
        })
    }

    /// The prefetch, zero while paused: takes effect with the next flow.
    pub fn set_prefetch(&mut self, prefetch: u32) -> bool {
        let changed = self.prefetch != prefetch;
        self.prefetch = prefetch;
        if prefetch == 0 {
            self.revoked += std::mem::take(&mut self.credit);
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

    /// The delivery-count as we count it.
    pub fn delivery_count(&self) -> u32 {
        self.delivery_count
    }

    /// Gives back everything that PHP has not seen.
    pub fn release_buffered(&mut self, out: &mut Vec<u8>, channel: u16) {
        self.flush(out, channel);
        let mut range: Option<(u32, u32)> = None;
        for incoming in std::mem::take(&mut self.buffer) {
            self.held = self.held.saturating_sub(1);
            if incoming.settled {
                continue;
            }
            let id = incoming.delivery_id;
            range = match range {
                Some((first, last)) if last.wrapping_add(1) == id => Some((first, id)),
                Some((first, last)) => {
                    frame::encode_disposition(out, channel, first, last, true, &RELEASED);
                    Some((id, id))
                }
                None => Some((id, id)),
            };
        }
        if let Some((first, last)) = range {
            frame::encode_disposition(out, channel, first, last, true, &RELEASED);
        }
    }

    /// The link is over: what is buffered will be delivered again by the broker.
    pub fn fail(&mut self, error: &Error) {
        if matches!(self.phase, Phase::Detached(_)) {
            return;
        }
        self.phase = Phase::Detached(error.clone());
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn receiver(prefetch: u32) -> Receiver {
        let mut receiver = Receiver::new("r".to_owned(), prefetch, Signal::new());
        receiver.phase = Phase::Attached;
        receiver
    }

    fn transfer(delivery_id: Option<u32>, more: bool) -> Transfer {
        Transfer {
            delivery_id,
            more,
            ..Transfer::default()
        }
    }

    #[test]
    fn credit_never_exceeds_what_is_free() {
        let mut receiver = receiver(4);
        assert_eq!(receiver.wanted_credit(), Some(4));
        for id in 0..4 {
            receiver
                .on_transfer(transfer(Some(id), false), Bytes::from_static(b"x"))
                .unwrap();
        }
        assert_eq!(receiver.wanted_credit(), None);
        let id = receiver.take().unwrap().delivery_id;
        receiver.accept(id);
        assert_eq!(receiver.wanted_credit(), Some(1));
    }

    #[test]
    fn credit_in_whole_windows_waits_for_the_last_delivery() {
        let mut receiver = receiver(4).in_windows(true);
        assert_eq!(receiver.wanted_credit(), Some(4));
        for id in 0..4 {
            assert_eq!(receiver.wanted_credit(), None);
            receiver
                .on_transfer(transfer(Some(id), false), Bytes::new())
                .unwrap();
            let id = receiver.take().unwrap().delivery_id;
            receiver.accept(id);
        }
        assert_eq!(receiver.wanted_credit(), Some(4));
    }

    #[test]
    fn a_delivery_without_credit_is_refused() {
        let mut receiver = receiver(1);
        assert!(receiver
            .on_transfer(transfer(Some(0), false), Bytes::new())
            .is_err());
    }

    #[test]
    fn pausing_again_and_again_lets_no_more_in() {
        let mut receiver = receiver(4);
        for _ in 0..100 {
            receiver.set_prefetch(4);
            receiver.wanted_credit();
            receiver.set_prefetch(0);
        }
        for id in 0..4 {
            receiver
                .on_transfer(transfer(Some(id), false), Bytes::new())
                .unwrap();
        }
        assert!(receiver
            .on_transfer(transfer(Some(4), false), Bytes::new())
            .is_err());
    }

    #[test]
    fn acknowledgements_are_told_as_ranges() {
        let mut receiver = receiver(100);
        for id in [7, 8, 9, 11] {
            receiver.accept(id);
        }
        assert_eq!(receiver.accepted, [(7, 9), (11, 11)]);
        let mut out = Vec::new();
        assert!(receiver.flush(&mut out, 0));
        assert!(!receiver.flush(&mut out, 0));
    }

    #[test]
    fn frames_of_one_delivery_are_joined() {
        let mut receiver = receiver(2);
        receiver.wanted_credit();
        receiver
            .on_transfer(transfer(Some(1), true), Bytes::from_static(b"ab"))
            .unwrap();
        assert!(receiver.take().is_none());
        receiver
            .on_transfer(transfer(None, false), Bytes::from_static(b"cd"))
            .unwrap();
        assert_eq!(&receiver.take().unwrap().payload[..], b"abcd");
    }
}
