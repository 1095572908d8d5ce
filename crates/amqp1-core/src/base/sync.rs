//! Locks that a forked child can trust.
//!
//! The standard library's locks are one word of memory each and share nothing. `parking_lot` keeps
//! waiting threads in one table for the whole process. A fork while the I/O thread uses that table
//! leaves it locked in the child for ever, whichever locks the child then uses.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

/// A mutex that a panic does not poison: the guarded state is checked, not trusted.
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

/// Wakes threads that wait with the guard of a [`Mutex`].
#[derive(Debug, Default)]
pub(crate) struct Condvar(std::sync::Condvar);

impl Condvar {
    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Waits until notified, until `timeout` has passed, or until a spurious wakeup.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>, timeout: Duration) -> MutexGuard<'a, T> {
        let waited = self.0.wait_timeout(guard, timeout);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
