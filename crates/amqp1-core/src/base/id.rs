//! Job ids: version 4 UUIDs from the operating system's random numbers.
//!
//! A thread-local generator would be faster still, but after a fork, parent and child would
//! generate the same ids. Therefore random bytes are fetched in blocks, and only the process that
//! fetched a block uses it.

use std::cell::RefCell;

use crate::base::fork;
use crate::error::{Error, Result};

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

fn random<const N: usize>() -> Result<[u8; N]> {
    BLOCK.with_borrow_mut(|block| {
        if block.used + N > block.bytes.len() || block.generation != fork::generation() {
            // There is no weaker fallback: an id that another process also generates would lose
            // jobs.
            fill(&mut block.bytes).map_err(|why| {
                Error::unsupported(format!(
                    "cannot generate an id: the operating system provides no random numbers ({why}); check that the system call getrandom is allowed, or that /dev/urandom exists"
                ))
            })?;
            block.used = 0;
            block.generation = fork::generation();
        }
        let mut taken = [0; N];
        taken.copy_from_slice(&block.bytes[block.used..block.used + N]);
        block.used += N;
        Ok(taken)
    })
}

fn fill(bytes: &mut [u8]) -> std::result::Result<(), getrandom::Error> {
    #[cfg(test)]
    if tests::IS_WITHOUT.get() {
        return Err(getrandom::Error::UNSUPPORTED);
    }
    getrandom::fill(bytes)
}

/// Generates a job id of 36 characters.
///
/// # Errors
/// [`crate::ErrorKind::Unsupported`] if the operating system has no random numbers.
pub fn job_id() -> Result<String> {
    let uuid = uuid::Builder::from_random_bytes(random()?).into_uuid();
    Ok(uuid
        .hyphenated()
        .encode_lower(&mut uuid::Uuid::encode_buffer())
        .to_owned())
}

/// Eight hexadecimal characters that distinguish containers and links.
///
/// # Errors
/// As [`job_id`].
pub(crate) fn short() -> Result<String> {
    Ok(format!("{:08x}", u32::from_ne_bytes(random()?)))
}

/// A start number that differs between processes. It is random enough for that, but not for an id.
#[must_use]
pub(crate) fn number() -> u64 {
    random().map_or_else(|_| std::process::id().into(), u64::from_ne_bytes)
}

/// A random number from 0 to 1 for backoff; not for ids either.
#[must_use]
pub(crate) fn jitter() -> f64 {
    let number = random().map_or(u32::MAX / 2, u32::from_ne_bytes);
    f64::from(number) / f64::from(u32::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::Cell;
    use std::collections::HashSet;

    use std::time::Duration;

    use super::{fork, jitter, job_id, short, BLOCK};
    use crate::{ErrorKind, Job, JobOptions, Payload, Queue, QueueOptions, Wait};

    thread_local! {
        pub(super) static IS_WITHOUT: Cell<bool> = const { Cell::new(false) };
    }

    #[test]
    fn without_random_numbers_no_job_is_pushed() {
        let options = QueueOptions::default();
        let queue = Queue::new("embedded://without-random-numbers", Some("q"), options).unwrap();
        let job = Job {
            name: "job".into(),
            payload: Payload {
                bytes: (&b""[..]).into(),
                json: false,
                keep: None,
            },
            options: JobOptions::default(),
        };
        let wait = Wait::uninterrupted(Duration::from_secs(10));
        let error = without_random_numbers(|| queue.push(&job, &wait).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        queue.push(&job, &wait).unwrap();
        assert_eq!(queue.count(&wait).unwrap(), 1);
    }

    /// Runs `work` without random numbers on this thread.
    pub(crate) fn without_random_numbers<T>(work: impl FnOnce() -> T) -> T {
        IS_WITHOUT.set(true);
        BLOCK.with_borrow_mut(|block| block.used = block.bytes.len());
        let done = work();
        IS_WITHOUT.set(false);
        done
    }

    #[test]
    fn ids_are_uuids_and_differ() {
        let ids: HashSet<String> = (0..1000).map(|_| job_id().unwrap()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids
            .iter()
            .all(|id| uuid::Uuid::parse_str(id).is_ok_and(|id| id.get_version_num() == 4)));
    }

    #[test]
    fn without_random_numbers_there_is_an_error_and_no_weak_id() {
        // A block left over from another process must not be used either.
        for is_stale in [false, true] {
            without_random_numbers(|| {
                BLOCK.with_borrow_mut(|block| {
                    if is_stale {
                        (block.used, block.generation) = (0, fork::generation() + 1);
                    }
                });
                let error = job_id().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unsupported);
                assert!(error.message().contains("no random numbers"), "{error}");
                assert!(short().is_err());
                assert!((0.0..=1.0).contains(&jitter()));
            });
            assert!(job_id().is_ok());
        }
    }
}
