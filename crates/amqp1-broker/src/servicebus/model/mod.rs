//! The state of a namespace: entities, messages, locks, sessions. Plain data: no I/O, no tasks, no
//! clock. Calls that need the time get `now`, in Unix milliseconds.

pub(crate) mod duplicates;
pub(crate) mod entry;
pub(crate) mod errors;
pub(crate) mod message;
pub(crate) mod namespace;
pub(crate) mod queue;
pub(crate) mod rules;
pub(crate) mod sessions;
pub(crate) mod token;
