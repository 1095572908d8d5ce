//! Job ids: version 4 UUIDs from the operating system's random numbers.
//!
//! A thread-local generator would be faster still, but after a fork parent and
//! child would make the same ids. So random bytes are fetched in blocks, and a
//! block is used only by the process that fetched it.

use std::cell::RefCell;

use crate::fork;

struct Block {
    bytes: [u8; 2048],
    used: usize,
    generation: u64,
}

thread_local! {
    static BLOCK: RefCell<Block> = const {
        RefCell::new(Block {
            bytes: [0; 2048],
            used: 2048,
            generation: 0,
        })
    };
}

fn random<const N: usize>() -> [u8; N] {
    BLOCK.with_borrow_mut(|block| {
        if block.used + N > block.bytes.len() || block.generation != fork::generation() {
            if getrandom::fill(&mut block.bytes).is_err() {
                // No system call for it: the standard library's hasher keys are random too.
                for chunk in block.bytes.chunks_mut(8) {
                    use std::hash::{BuildHasher, Hasher};
                    let keys = std::hash::RandomState::new();
                    chunk.copy_from_slice(&keys.build_hasher().finish().to_ne_bytes());
                }
            }
            block.used = 0;
            block.generation = fork::generation();
        }
        let mut taken = [0; N];
        taken.copy_from_slice(&block.bytes[block.used..block.used + N]);
        block.used += N;
        taken
    })
}

/// A new job id, 36 characters.
#[must_use]
pub fn job_id() -> String {
    let uuid = uuid::Builder::from_random_bytes(random()).into_uuid();
    uuid.hyphenated()
        .encode_lower(&mut uuid::Uuid::encode_buffer())
        .to_owned()
}

/// Eight hexadecimal characters that tell containers and links apart.
#[must_use]
pub(crate) fn short() -> String {
    format!("{:08x}", u32::from_ne_bytes(random()))
}

/// A random number.
#[must_use]
pub(crate) fn number() -> u64 {
    u64::from_ne_bytes(random())
}

/// A random number from 0 to 1, for backoff.
#[must_use]
pub(crate) fn jitter() -> f64 {
    f64::from(u32::from_ne_bytes(random())) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn ids_are_uuids_and_differ() {
        let ids: HashSet<String> = (0..1000).map(|_| super::job_id()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids
            .iter()
            .all(|id| uuid::Uuid::parse_str(id).is_ok_and(|id| id.get_version_num() == 4)));
    }
}
