//! Shows messages as they are.

use super::{Entry, Queue, Sequence};
use crate::rabbitmq::model::message::DeliveryHeader;

/// Whether a message waits for its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Ready, or held by a consumer.
    Active,
    Scheduled,
}

impl Queue {
    /// Up to `count` messages from this number on, by number: ready, delayed, or held. They stay as
    /// they are. Ends before `octets` are exceeded, but not before the first message.
    pub(crate) fn peek(
        &self,
        from: Sequence,
        count: usize,
        octets: usize,
    ) -> Vec<(Sequence, Shown, Vec<u8>)> {
        let ready = self.ready.values().map(|entry| (entry, Shown::Active));
        let held = self.acquired.values();
        let held = held.map(|acquired| (&acquired.entry, Shown::Active));
        let delayed = self.delayed.values();
        let delayed = delayed.map(|delayed| (&delayed.entry, Shown::Scheduled));
        let all = ready.chain(held).chain(delayed);
        let mut all: Vec<_> = all.filter(|(entry, _)| entry.sequence >= from).collect();
        all.sort_unstable_by_key(|(entry, _)| entry.sequence);
        let mut left = octets;
        let mut shown = Vec::new();
        for (entry, state) in all.into_iter().take(count) {
            let message = entry.shown();
            if message.len() > left && !shown.is_empty() {
                break;
            }
            left = left.saturating_sub(message.len());
            shown.push((entry.sequence, state, message));
        }
        shown
    }
}

impl Entry {
    /// The message as its next receiver would get it.
    fn shown(&self) -> Vec<u8> {
        let header = DeliveryHeader {
            ttl: self.message.ttl,
            first_acquirer: self.acquired_count == 0,
            delivery_count: self.delivery_count,
            acquired_count: self.acquired_count,
        };
        let mut payload = self.message.payload(header);
        let size = payload.remaining();
        let mut out = bytes::BytesMut::with_capacity(size);
        payload.take(size, &mut out);
        out.into()
    }
}
