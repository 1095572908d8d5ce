//! Memory for messages until their outcome is known.

use bytes::{Bytes, BytesMut};

/// The size of a block, in bytes.
const BLOCK: usize = 16 * 1024;

/// Larger messages keep their own memory.
const SMALL: usize = 2 * 1024;

/// Memory for many small messages: one block holds dozens of them, and lives as long as any of
/// them.
#[derive(Debug)]
pub(super) struct Block(BytesMut);

impl Block {
    pub fn new() -> Self {
        Self(BytesMut::with_capacity(BLOCK))
    }

    pub fn keep(&mut self, message: Vec<u8>) -> Bytes {
        if message.len() > SMALL {
            return message.into();
        }
        self.0.extend_from_slice(&message);
        self.0.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_what_they_are_whatever_comes_after_them() {
        let mut block = Block::new();
        let message = |n: usize| vec![n as u8; [600, 0, SMALL, SMALL + 1][n % 4]];
        let kept: Vec<Bytes> = (0..200).map(|n| block.keep(message(n))).collect();
        drop(block);
        for (n, bytes) in kept.into_iter().enumerate() {
            assert_eq!(bytes, message(n), "{n}");
        }
    }
}
