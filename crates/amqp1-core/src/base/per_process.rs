//! State of this process, shared by all its threads.
//!
//! A fork copies only the thread that forks. If another thread has locked something at that moment,
//! it stays locked in the child for ever. So a child uses other locks than its parent, and begins
//! without its parent's state.

use std::mem;

use super::fork;
use super::sync::Mutex;

/// Nobody forks children of children as deep as there are places.
const DEPTH: usize = 64;

/// A value that each process makes for itself.
#[derive(Debug)]
pub struct PerProcess<T> {
    /// By [`fork::generation`], which comes with each value.
    places: [Mutex<Option<(u64, T)>>; DEPTH],
}

impl<T> PerProcess<T> {
    /// No value yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            places: [const { Mutex::new(None) }; DEPTH],
        }
    }

    /// Calls `work` with this process's value, or none.
    pub fn look<R>(&self, work: impl FnOnce(&mut Option<(u64, T)>) -> R) -> R {
        let generation = fork::generation();
        let mut place = self.place(generation).lock();
        if place.as_ref().is_some_and(|(of, _)| *of != generation) {
            // It belongs to another process: neither used nor torn down here.
            mem::forget(place.take());
        }
        work(&mut place)
    }

    /// Calls `work` with this process's value, which `make` makes if there is none. It is given
    /// that of the parent process, if there is one and no thread had locked it.
    pub fn with<R>(&self, make: impl FnOnce(Option<&T>) -> T, work: impl FnOnce(&mut T) -> R) -> R {
        let generation = fork::generation();
        self.look(|place| {
            let (_, value) = place.get_or_insert_with(|| {
                let parents = self.place(generation.wrapping_sub(1)).try_lock();
                let parents = parents.as_deref().and_then(Option::as_ref);
                (generation, make(parents.map(|(_, value)| value)))
            });
            work(value)
        })
    }

    /// Takes this process's value.
    pub fn take(&self) -> Option<T> {
        self.look(Option::take).map(|(_, value)| value)
    }

    fn place(&self, generation: u64) -> &Mutex<Option<(u64, T)>> {
        &self.places[generation as usize % DEPTH]
    }
}

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_has_its_own() {
        let state = PerProcess::new();
        state.with(|_| 1, |value| *value += 1);
        assert_eq!(state.with(|_| 7, |value| *value), 2);
        // A child of which this process is the copy, with a lock that nobody will release.
        let parents = fork::generation().wrapping_sub(1);
        let _locked = state.place(parents).lock();
        assert_eq!(state.take(), Some(2));
        assert_eq!(state.with(|from| from.map_or(9, |_| 0), |value| *value), 9);
    }

    #[test]
    fn a_child_may_look_at_what_its_parent_had_and_never_uses_what_is_older() {
        let state = PerProcess::new();
        let generation = fork::generation();
        *state.place(generation - 1).lock() = Some((generation - 1, 5));
        *state.place(generation).lock() = Some((generation.wrapping_add(64), 8));
        let inherited = state.with(|from| from.map_or(0, |from| from + 1), |value| *value);
        assert_eq!(inherited, 6);
    }
}
