//! The broker's state: messages, queues, exchanges, consumers. Plain data: no I/O, no tasks, no
//! clock. Calls that need the time get `now`, in Unix milliseconds.

pub(crate) mod address;
pub(crate) mod arguments;
pub(crate) mod consumers;
pub(crate) mod errors;
pub(crate) mod exchange;
pub(crate) mod message;
pub(crate) mod outcome;
pub(crate) mod queue;
pub(crate) mod store;
