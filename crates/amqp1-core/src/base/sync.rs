//! Locks that a forked child can trust.
//!
//! The standard library's are a word of memory each, and nothing is shared
//! between them. `parking_lot` keeps its waiting threads in one table for the
//! whole process: a fork while the I/O thread works on that table leaves it
//! locked in the child for ever, whatever locks the child itself then uses.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

/// A mutex that a panic does not poison: the state it guards is checked, not trusted.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes threads that wait with a [`Mutex`]'s guard.
#[derive(Debug, Default)]
pub(crate) struct Condvar(std::sync::Condvar);

impl Condvar {
    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Waits until it is notified, or `timeout` has passed, or for no reason at all.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>, timeout: Duration) -> MutexGuard<'a, T> {
        let waited = self.0.wait_timeout(guard, timeout);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
