//! PHP callables that outlive the call that passed them.
//!
//! They are stored and called only on the PHP thread that passed them; the core knows each by a
//! number. The core shares connections between threads, so no two threads use the same number.

pub mod loggers;
pub mod lost;
pub mod observers;
pub mod token;
pub mod watchers;

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that no other callable of this process has, from 1 up.
fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}
