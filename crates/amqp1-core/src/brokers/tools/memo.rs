//! Facts about a connection's broker that need not be checked again.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::base::sync::Mutex;

/// The most entries; forgotten ones are only checked again.
const MAX: usize = 4096;

/// Known facts, each with its time. Only PHP's thread locks it, so that no fork can happen while it
/// is locked.
#[derive(Debug)]
pub(crate) struct Memo<K>(Mutex<HashMap<K, Instant>>);

impl<K> Default for Memo<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq> Memo<K> {
    /// Whether the fact was noted within `age`.
    pub fn has(&self, known: &K, age: Duration) -> bool {
        let entries = self.0.lock();
        entries.get(known).is_some_and(|at| at.elapsed() <= age)
    }

    /// Does `work`, unless it was done within `age`.
    ///
    /// # Errors
    /// Those of `work`, which is then done again next time.
    pub fn once<E>(
        &self,
        known: K,
        age: Duration,
        work: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        if self.has(&known, age) {
            return Ok(());
        }
        work()?;
        let mut entries = self.0.lock();
        // Delay queues of many targets must not let this grow without limit.
        if entries.len() >= MAX {
            entries.clear();
        }
        entries.insert(known, Instant::now());
        Ok(())
    }

    /// Forgets everything.
    pub fn forget(&self) {
        self.0.lock().clear();
    }

    /// Whether any fact was noted within `age`.
    pub fn has_any_within(&self, age: Duration) -> bool {
        self.0.lock().values().any(|at| at.elapsed() <= age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_done_again_and_what_is_known_is_not() {
        let memo = Memo::default();
        let tries = std::cell::Cell::new(0);
        let work = |result: Result<(), ()>| {
            tries.set(tries.get() + 1);
            result
        };
        assert!(memo.once("q", Duration::MAX, || work(Err(()))).is_err());
        assert!(!memo.has_any_within(Duration::MAX));
        for _ in 0..3 {
            assert!(memo.once("q", Duration::MAX, || work(Ok(()))).is_ok());
        }
        assert_eq!(tries.get(), 2);
        memo.forget();
        assert!(!memo.has(&"q", Duration::MAX));
    }

    #[test]
    fn it_does_not_grow_for_ever() {
        let memo = Memo::default();
        for n in 0..=MAX {
            assert_eq!(memo.once(n, Duration::MAX, || Ok::<(), ()>(())), Ok(()));
        }
        assert!(memo.has(&MAX, Duration::MAX) && !memo.has(&0, Duration::MAX));
    }
}
