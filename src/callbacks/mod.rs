//! PHP callables that outlive the call that passed them.
//!
//! They are stored and called only on PHP's thread; the core knows each by a number.

pub mod loggers;
pub mod lost;
pub mod observers;
pub mod token;
pub mod watchers;
