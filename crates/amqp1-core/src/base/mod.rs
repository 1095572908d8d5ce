//! Tools that a PHP process needs: waiting, forking, threads, randomness. Knows no AMQP.

pub(crate) mod backoff;
#[cfg(feature = "fuzzing")]
pub(crate) mod choices;
pub(crate) mod clock;
pub(crate) mod counted;
pub(crate) mod counters;
pub mod events;
pub mod fork;
pub mod id;
pub(crate) mod marks;
pub(crate) mod memory;
pub(crate) mod pauses;
pub mod per_process;
pub(crate) mod runtime;
pub mod signal;
pub(crate) mod sync;
pub mod threads;
pub mod wait;
