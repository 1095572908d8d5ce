//! A session's outgoing deliveries: their numbers, and which are unsettled (AMQP 1.0 section
//! 2.6.12).

use std::collections::BTreeMap;

use fe2o3_amqp_types::definitions::Role;
use fe2o3_amqp_types::performatives::Disposition;

/// The first delivery number. Numbers do not wrap; the wire carries the low 32 bits.
const FIRST: u64 = 1 << 32;

/// A session's outgoing deliveries. `U` is the dialect's data about an unsettled delivery.
#[derive(Debug)]
pub(crate) struct Deliveries<U> {
    next: u64,
    unsettled: BTreeMap<u64, U>,
}

impl<U> Deliveries<U> {
    pub(crate) fn new() -> Self {
        Self {
            next: FIRST,
            unsettled: BTreeMap::new(),
        }
    }

    /// Numbers a delivery, and keeps the data about it if its receiver has to settle it.
    pub(crate) fn begin(&mut self, unsettled: Option<U>) -> u64 {
        let delivery = self.next;
        self.next += 1;
        if let Some(unsettled) = unsettled {
            self.unsettled.insert(delivery, unsettled);
        }
        delivery
    }

    /// The first and the last delivery that a receiver's disposition covers; `None` if none of them
    /// was sent. A sender's disposition covers nothing here, because the broker has already settled
    /// those deliveries.
    pub(crate) fn meant(&self, disposition: &Disposition) -> Option<(u64, u64)> {
        if disposition.role == Role::Sender {
            return None;
        }
        let first = self.delivery(disposition.first)?;
        let last = match disposition.last {
            None => first,
            Some(last) => self.delivery(last).unwrap_or(self.next - 1),
        };
        (first <= last).then_some((first, last))
    }

    /// The deliveries from first to last that may be unsettled. It does not count through the
    /// range: a peer may name two billion deliveries.
    pub(crate) fn between(&self, first: u64, last: u64) -> Vec<u64> {
        if first == last {
            return vec![first];
        }
        let unsettled = self.unsettled.range(first..=last);
        unsettled.map(|(id, _)| *id).collect()
    }

    /// The data about an unsettled delivery.
    pub(crate) fn get(&self, delivery: u64) -> Option<&U> {
        self.unsettled.get(&delivery)
    }

    /// `None` if the delivery is already settled.
    pub(crate) fn settle(&mut self, delivery: u64) -> Option<U> {
        self.unsettled.remove(&delivery)
    }

    /// The first unsettled delivery that matches.
    pub(crate) fn find(&self, fits: impl Fn(&U) -> bool) -> Option<u64> {
        let found = self.unsettled.iter().find(|(_, unsettled)| fits(unsettled));
        found.map(|(id, _)| *id)
    }

    /// Forgets the deliveries for which `keeps` returns false.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(&U) -> bool) {
        self.unsettled.retain(|_, unsettled| keeps(unsettled));
    }

    /// The delivery with this number on the wire; `None` if it was not sent.
    fn delivery(&self, id: u32) -> Option<u64> {
        let behind = (self.next as u32).wrapping_sub(id);
        if behind == 0 || behind > i32::MAX as u32 {
            return None;
        }
        self.next.checked_sub(behind.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::amqp::answers;

    fn receivers(first: u32, last: Option<u32>) -> Disposition {
        Disposition {
            last,
            ..answers::settled(Role::Receiver, first, first, None)
        }
    }

    #[test]
    fn a_disposition_means_only_what_was_sent() {
        let mut deliveries = Deliveries::new();
        assert_eq!(deliveries.meant(&receivers(0, None)), None);
        for unsettled in [Some('a'), None, Some('c')] {
            deliveries.begin(unsettled);
        }
        let (first, last) = deliveries.meant(&receivers(0, Some(u32::MAX / 4))).unwrap();
        assert_eq!((first as u32, last as u32), (0, 2));
        let between = deliveries.between(first, last);
        assert_eq!(between, [first, last]);
        assert_eq!(deliveries.settle(last), Some('c'));
        assert_eq!(deliveries.settle(last), None, "settled twice");
        assert_eq!(deliveries.meant(&receivers(3, None)), None, "not sent");
        assert_eq!(deliveries.meant(&receivers(2, Some(1))), None, "backwards");
        let senders = answers::settled(Role::Sender, 0, 0, None);
        assert_eq!(deliveries.meant(&senders), None);
    }
}
