//! A session's outgoing deliveries: their numbers, and which are not settled (AMQP 1.0 section
//! 2.6.12).

use std::collections::BTreeMap;

use fe2o3_amqp_types::definitions::Role;
use fe2o3_amqp_types::performatives::Disposition;

/// Where delivery numbers start, counted on without wrapping; the wire has the low half.
const FIRST: u64 = 1 << 32;

/// See the module; `U` is what the dialect knows of a delivery that its receiver has not settled.
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

    /// Numbers a delivery, and keeps what its receiver has to settle.
    pub(crate) fn begin(&mut self, unsettled: Option<U>) -> u64 {
        let delivery = self.next;
        self.next += 1;
        if let Some(unsettled) = unsettled {
            self.unsettled.insert(delivery, unsettled);
        }
        delivery
    }

    /// The first and the last delivery that a receiver's disposition means; `None` where none was
    /// sent. A sender's says nothing here: it settles what the broker has settled already.
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

    /// Those from first to last that may be unsettled. Never by counting: a peer may name two
    /// billion deliveries.
    pub(crate) fn between(&self, first: u64, last: u64) -> Vec<u64> {
        if first == last {
            return vec![first];
        }
        let unsettled = self.unsettled.range(first..=last);
        unsettled.map(|(id, _)| *id).collect()
    }

    /// What is known of one that is not settled.
    pub(crate) fn get(&self, delivery: u64) -> Option<&U> {
        self.unsettled.get(&delivery)
    }

    /// `None` for one that is settled already.
    pub(crate) fn settle(&mut self, delivery: u64) -> Option<U> {
        self.unsettled.remove(&delivery)
    }

    /// The first that is unsettled and fits.
    pub(crate) fn find(&self, fits: impl Fn(&U) -> bool) -> Option<u64> {
        let found = self.unsettled.iter().find(|(_, unsettled)| fits(unsettled));
        found.map(|(id, _)| *id)
    }

    /// Forgets what is not to be kept.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(&U) -> bool) {
        self.unsettled.retain(|_, unsettled| keeps(unsettled));
    }

    /// The delivery that a number of the wire means; `None` for one that was not sent.
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
