//! Memory for messages.
//!
//! An allocator gives large blocks back to the system as soon as they are free, and the next message
//! then costs a system call for each block and a page fault for each page. So large buffers are kept
//! here and used again, up to a limit; small messages share blocks.

use bytes::{Bytes, BytesMut};

use super::sync::Mutex;

/// Up to this size, in bytes, messages share blocks.
pub(crate) const SMALL: usize = 2 * 1024;

/// The size of a shared block, in bytes.
const BLOCK: usize = 16 * 1024;

/// From this size on, in bytes, buffers are used again. The allocator keeps smaller ones itself.
const LARGE: usize = 4 * 1024;

/// The sizes of kept buffers: four for each power of two, from [`LARGE`].
const CLASSES: usize = 4 * 11;

/// The most memory in free buffers, in bytes: one message of the usual largest size, and some. A
/// buffer larger than that is never kept.
const KEPT: usize = 6 * 1024 * 1024;

/// An empty buffer with room for at least `size` bytes. [`share`] keeps it for others when nobody
/// needs its contents any more.
pub(crate) fn buffer(size: usize) -> Vec<u8> {
    let Some(class) = class(size) else {
        return Vec::with_capacity(size);
    };
    let kept = FREE.try_lock().and_then(|mut free| free.take(class));
    kept.unwrap_or_else(|| Vec::with_capacity(size_of_class(class)))
}

/// Makes a message of a buffer's contents, without copying them.
pub(crate) fn share(buffer: Vec<u8>) -> Bytes {
    match buffer.capacity() < LARGE {
        true => buffer.into(),
        false => Bytes::from_owner(Lent(buffer)),
    }
}

/// A copy of `bytes` that shares nothing with them.
pub(crate) fn copy(bytes: &[u8]) -> Bytes {
    let mut buffer = buffer(bytes.len());
    buffer.extend_from_slice(bytes);
    share(buffer)
}

/// Memory for many small messages: one block holds dozens of them, and lives as long as any of
/// them.
#[derive(Debug, Default)]
pub(crate) struct Block(BytesMut);

impl Block {
    /// Makes a message of a buffer's contents. Small ones are copied into the block.
    pub fn keep(&mut self, message: Vec<u8>) -> Bytes {
        match message.len() > SMALL {
            true => share(message),
            false => self.copy(&message, &[]).0,
        }
    }

    /// Copies of `first` and `second`.
    pub fn copy(&mut self, first: &[u8], second: &[u8]) -> (Bytes, Bytes) {
        let length = first.len() + second.len();
        if length > SMALL {
            return (copy(first), copy(second));
        }
        if self.0.capacity() < length {
            self.0 = BytesMut::with_capacity(BLOCK);
        }
        self.0.extend_from_slice(first);
        self.0.extend_from_slice(second);
        let mut first_copy = self.0.split().freeze();
        let second_copy = first_copy.split_off(first.len());
        (first_copy, second_copy)
    }
}

/// A buffer that returns to the others.
struct Lent(Vec<u8>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        // A fork may have left it locked for ever.
        if let Some(mut free) = FREE.try_lock() {
            free.give(buffer);
        }
    }
}

static FREE: Mutex<Free> = Mutex::new(Free::new());

/// Free buffers.
#[derive(Debug)]
struct Free {
    classes: [Class; CLASSES],
    /// The sum of the capacities.
    bytes: usize,
    /// Counts the buffers that were returned.
    time: u64,
}

/// Free buffers of one size.
#[derive(Debug)]
struct Class {
    buffers: Vec<Vec<u8>>,
    /// When one was last returned.
    used: u64,
}

impl Free {
    const fn new() -> Self {
        Self {
            classes: [const {
                Class {
                    buffers: Vec::new(),
                    used: 0,
                }
            }; CLASSES],
            bytes: 0,
            time: 0,
        }
    }

    fn take(&mut self, class: usize) -> Option<Vec<u8>> {
        let buffer = self.classes.get_mut(class)?.buffers.pop()?;
        self.bytes -= buffer.capacity();
        Some(buffer)
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        let size = buffer.capacity();
        // A buffer that has grown belongs to the class that it covers.
        let Some(class) = class(size) else { return };
        let class = match size_of_class(class) > size {
            true => class.saturating_sub(1),
            false => class,
        };
        if !(LARGE..=KEPT).contains(&size) {
            return;
        }
        while self.bytes + size > KEPT && self.drop_one() {}
        self.time += 1;
        self.bytes += size;
        let class = &mut self.classes[class];
        class.used = self.time;
        class.buffers.push(buffer);
    }

    /// Frees a buffer of the size that has not been used for longest. False if there is none.
    fn drop_one(&mut self) -> bool {
        let classes = self.classes.iter_mut();
        let filled = classes.filter(|class| !class.buffers.is_empty());
        let oldest = filled.min_by_key(|class| class.used);
        let Some(buffer) = oldest.and_then(|class| class.buffers.pop()) else {
            return false;
        };
        self.bytes -= buffer.capacity();
        true
    }
}

/// The smallest class whose buffers have room for `size` bytes.
fn class(size: usize) -> Option<usize> {
    if size < LARGE {
        return None;
    }
    let power = size.ilog2() - LARGE.ilog2();
    let quarter = (size - (LARGE << power)).div_ceil(LARGE << power >> 2);
    let class = 4 * power as usize + quarter;
    (class < CLASSES).then_some(class)
}

fn size_of_class(class: usize) -> usize {
    let whole = LARGE << (class / 4);
    whole + (class % 4) * (whole >> 2)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn messages_stay_what_they_are_whatever_comes_after_them() {
        let mut block = Block::default();
        let message = |n: usize| vec![n as u8; [600, 0, SMALL, SMALL + 1][n % 4]];
        let kept: Vec<Bytes> = (0..200).map(|n| block.keep(message(n))).collect();
        let pairs: Vec<_> = (0..200)
            .map(|n| block.copy(&[n as u8; 4], &message(n)))
            .collect();
        drop(block);
        for (n, bytes) in kept.into_iter().enumerate() {
            assert_eq!(bytes, message(n), "{n}");
        }
        for (n, (first, second)) in pairs.into_iter().enumerate() {
            assert_eq!(
                (&first[..], &second[..]),
                (&[n as u8; 4][..], &message(n)[..])
            );
        }
    }

    #[test]
    fn a_class_has_room_for_its_sizes_and_little_more() {
        for size in (LARGE..KEPT).step_by(997).chain([LARGE, KEPT]) {
            let room = size_of_class(class(size).unwrap());
            assert!(room >= size && room <= size + size / 4, "{size}: {room}");
        }
        assert_eq!(class(LARGE - 1), None);
        assert_eq!(class(usize::MAX), None);
    }

    #[test]
    fn a_buffer_is_used_again_once_nobody_needs_its_message() {
        let mut free = Free::new();
        let at = class(100_000).unwrap();
        let given = Vec::with_capacity(size_of_class(at));
        let address = given.as_ptr();
        free.give(given);
        assert!(free.take(at + 1).is_none());
        let again = free.take(at).unwrap();
        assert_eq!((again.as_ptr(), free.bytes), (address, 0));
        assert!(again.is_empty() && again.capacity() >= 100_000);
        // A buffer that has grown to a size between two classes has room for the smaller one.
        free.give(Vec::with_capacity(size_of_class(at) + 1));
        assert!(free.take(at).unwrap().capacity() > size_of_class(at));
    }

    #[test]
    fn free_buffers_are_bounded_and_what_is_in_use_stays() {
        let mut free = Free::new();
        for _ in 0..1000 {
            free.give(Vec::with_capacity(16 * 1024));
        }
        let held = |free: &Free| -> usize {
            let all = free.classes.iter().flat_map(|class| &class.buffers);
            all.map(Vec::capacity).sum()
        };
        assert!(free.bytes <= KEPT && free.bytes == held(&free));
        // Other sizes than before are kept as well.
        free.give(Vec::with_capacity(KEPT / 2));
        assert!(free.take(class(KEPT / 2).unwrap()).is_some());
        free.give(Vec::with_capacity(KEPT + 1));
        assert!(free.bytes <= KEPT && free.bytes == held(&free));
    }
}
