//! Deliveries that wait for PHP.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Incoming;
use crate::base::counters::CountedQueue;

/// Complete deliveries in their order, and their size.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    deliveries: VecDeque<Incoming>,
    bytes: usize,
    /// How many of them the broker will not redeliver.
    settled: usize,
    /// Their queue, for figures and events.
    pub queue: Option<Arc<CountedQueue>>,
}

impl Buffer {
    pub fn len(&self) -> usize {
        self.deliveries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// The size of all payloads.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the broker will not redeliver one of them.
    pub fn has_settled(&self) -> bool {
        self.settled > 0
    }

    /// The next one for PHP.
    pub fn front(&self) -> Option<&Incoming> {
        self.deliveries.front()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Incoming> {
        self.deliveries.iter()
    }

    pub fn push(&mut self, incoming: Incoming) {
        self.bytes += incoming.payload.len();
        self.settled += usize::from(incoming.settled);
        self.deliveries.push_back(incoming);
    }

    pub fn pop(&mut self) -> Option<Incoming> {
        let incoming = self.deliveries.pop_front()?;
        self.bytes -= incoming.payload.len();
        self.settled -= usize::from(incoming.settled);
        Some(incoming)
    }

    /// Removes and returns all but the first `kept`.
    pub fn split_off(&mut self, kept: usize) -> VecDeque<Incoming> {
        let rest = self.deliveries.split_off(kept.min(self.deliveries.len()));
        self.count();
        rest
    }

    pub fn retain(&mut self, is_kept: impl FnMut(&Incoming) -> bool) {
        self.deliveries.retain(is_kept);
        self.count();
    }

    pub fn clear(&mut self) {
        self.deliveries.clear();
        self.count();
    }

    fn count(&mut self) {
        self.bytes = self.deliveries.iter().map(|one| one.payload.len()).sum();
        self.settled = self.deliveries.iter().filter(|one| one.settled).count();
    }

    /// How many of the first fit into `bytes`, but at least one.
    pub fn fitting(&self, bytes: usize) -> usize {
        let mut sum = 0usize;
        let fits = |one: &&Incoming| {
            sum = sum.saturating_add(one.payload.len());
            sum <= bytes
        };
        self.deliveries.iter().take_while(fits).count().max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;

    use super::*;

    fn buffer(sizes: &[usize]) -> Buffer {
        let mut buffer = Buffer::default();
        for (id, size) in (0..).zip(sizes) {
            buffer.push(Incoming {
                delivery_id: id,
                payload: Bytes::from(vec![0; *size]),
                settled: false,
                tag: Bytes::new(),
                arrived: Instant::now(),
            });
        }
        buffer
    }

    #[test]
    fn its_size_is_that_of_what_is_in_it() {
        let mut buffer = buffer(&[1, 2, 4, 8, 16, 32]);
        assert_eq!(buffer.bytes(), 63);
        assert_eq!(buffer.pop().map(|one| one.delivery_id), Some(0));
        assert_eq!(buffer.bytes(), 62);
        buffer.retain(|one| one.delivery_id != 3);
        assert_eq!((buffer.len(), buffer.bytes()), (4, 54));
        assert_eq!(buffer.split_off(3).len(), 1);
        assert_eq!((buffer.len(), buffer.bytes()), (3, 22));
        assert!(buffer.split_off(9).is_empty());
        buffer.clear();
        assert_eq!(
            (buffer.len(), buffer.bytes(), buffer.pop().is_none()),
            (0, 0, true)
        );
    }

    #[test]
    fn the_first_one_always_fits() {
        let buffer = buffer(&[8, 4, 4]);
        assert_eq!(
            [0, 8, 11, 12, 15, 16, 99].map(|most| buffer.fitting(most)),
            [1, 1, 1, 2, 2, 3, 3]
        );
    }
}
