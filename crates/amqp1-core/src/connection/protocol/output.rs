//! Bytes on their way to the socket.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;

use bytes::Bytes;

use super::parts::{is_in, leave};

/// The most written bytes that are kept before the remaining ones move to the front.
pub(super) const COMPACT: usize = 64 * 1024;

/// From this size on, in bytes, the parts of messages are not copied: the socket reads them where
/// they are. In tests, most messages are that large.
pub(super) const LARGE: usize = if cfg!(test) { 64 } else { 4 * 1024 };

/// Frames on their way to the socket: bytes that are encoded at the end of a vector, and parts of
/// large messages between them.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    /// The bytes of `bytes` that were written.
    written: usize,
    large: VecDeque<Large>,
    /// The bytes of `large` that are not written.
    large_bytes: usize,
}

/// A part of a message between two bytes of the vector.
#[derive(Debug)]
struct Large {
    /// Its place in the vector.
    at: usize,
    part: Bytes,
}

impl Output {
    /// The place where frames are encoded: only append to it.
    pub fn frames(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Appends a part of a message, without copying it.
    pub fn push(&mut self, part: Bytes) {
        if part.is_empty() {
            return;
        }
        self.large_bytes += part.len();
        self.large.push_back(Large {
            at: self.bytes.len(),
            part,
        });
    }

    /// Whether a part of a message is in this part of the memory.
    pub fn uses(&self, place: &Range<usize>) -> bool {
        self.large.iter().any(|large| is_in(&large.part, place))
    }

    /// Copies the parts of messages that are in this part of the memory.
    pub fn leave(&mut self, place: &Range<usize>) {
        let parts = self.large.iter_mut();
        parts.for_each(|large| leave(&mut large.part, place));
    }

    /// The number of bytes to write.
    pub fn pending(&self) -> usize {
        self.bytes.len() - self.written + self.large_bytes
    }

    pub fn is_empty(&self) -> bool {
        self.pending() == 0
    }

    /// The bytes to write, if they are in one place.
    pub fn only(&self) -> Option<&[u8]> {
        self.large.is_empty().then(|| &self.bytes[self.written..])
    }

    /// Fills `slices` with the next bytes to write; returns the number of slices.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut parts = self.parts();
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(&mut parts) {
            *slice = IoSlice::new(part);
            count += 1;
        }
        count
    }

    /// A copy of the first bytes to write, as the socket would get them.
    #[cfg(test)]
    pub fn beginning(&self, most: usize) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 4];
        let count = self.slices(&mut slices);
        let all = slices[..count].iter().flat_map(|slice| slice.iter());
        all.copied().take(most).collect()
    }

    /// The bytes to write, in parts of which none is empty.
    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = self.written;
        let before_large = self.large.iter().flat_map(move |large| {
            let between = &self.bytes[from..large.at];
            from = large.at;
            [between, &large.part]
        });
        let last = self.large.back().map_or(self.written, |large| large.at);
        let all = before_large.chain([&self.bytes[last..]]);
        all.filter(|part| !part.is_empty())
    }

    /// Records that `count` bytes were written.
    pub fn advance(&mut self, count: usize) {
        let mut left = count.min(self.pending());
        while let Some(large) = self.large.front_mut() {
            let before = left.min(large.at - self.written);
            self.written += before;
            left -= before;
            if self.written < large.at || left == 0 {
                break;
            }
            let of_part = left.min(large.part.len());
            left -= of_part;
            self.large_bytes -= of_part;
            if of_part < large.part.len() {
                large.part = large.part.slice(of_part..);
                break;
            }
            self.large.pop_front();
        }
        self.written += left;
        self.compact();
    }

    fn compact(&mut self) {
        if self.is_empty() {
            self.bytes.clear();
            self.written = 0;
            // What was gathered must not occupy memory for the connection's whole life.
            if self.bytes.capacity() > 4 * 1024 * 1024 {
                self.bytes.shrink_to(256 * 1024);
            }
        } else if self.written > COMPACT && self.written > self.bytes.len() / 2 {
            // A peer that reads slowly, but never everything, must not let it grow.
            self.bytes.drain(..self.written);
            for large in &mut self.large {
                large.at -= self.written;
            }
            self.written = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What happens to an output.
    #[derive(Debug, Clone)]
    enum Step {
        Encode(usize),
        Push(usize),
        Write(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..100_000usize).prop_map(Step::Encode),
            prop_oneof![Just(0), 1..200_000usize].prop_map(Step::Push),
            (1..20usize, 0..300_000usize).prop_map(|(slices, most)| Step::Write(slices, most)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn everything_is_written_once_and_in_order(steps in prop::collection::vec(step(), 1..60)) {
            let (mut output, mut given, mut written) = (Output::default(), Vec::new(), Vec::new());
            let mut next = 0u8;
            let mut bytes = |count: usize| -> Vec<u8> {
                (0..count).map(|_| { next = next.wrapping_mul(31).wrapping_add(7); next }).collect()
            };
            let last = Step::Write(usize::MAX, usize::MAX);
            for step in steps.into_iter().chain([last]) {
                match step {
                    Step::Encode(count) => {
                        let bytes = bytes(count);
                        output.frames().extend_from_slice(&bytes);
                        given.extend(bytes);
                    }
                    Step::Push(count) => {
                        let bytes = bytes(count);
                        given.extend_from_slice(&bytes);
                        output.push(bytes.into());
                    }
                    Step::Write(slices, most) => {
                        let mut all = vec![IoSlice::new(&[]); slices.min(1000)];
                        let count = output.slices(&mut all);
                        let next: Vec<u8> = all[..count].iter().flat_map(|slice| slice.to_vec()).take(most).collect();
                        prop_assert!(!next.is_empty() || most == 0 || output.is_empty());
                        output.advance(next.len());
                        written.extend(next);
                        prop_assert_eq!(output.pending(), given.len() - written.len());
                        prop_assert!(output.bytes.len() <= output.bytes.len() - output.written + COMPACT.max(output.bytes.len() / 2 + 1));
                    }
                }
            }
            prop_assert!(output.is_empty());
            prop_assert!(written == given);
        }
    }
}
