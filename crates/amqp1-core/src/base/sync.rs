//! Locks that a forked child can trust.
//!
//! The standard library's locks are one word of memory each and share nothing. `parking_lot` keeps
//! waiting threads in one table for the whole process. A fork while the I/O thread uses that table
//! leaves it locked in the child for ever, whichever locks the child then uses.

use std::sync::{MutexGuard, PoisonError, TryLockError};

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

    /// The value, which nobody else can have.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks it unless another thread has it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
