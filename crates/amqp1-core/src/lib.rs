//! The job-queue client behind the amqp1 PHP extension. It knows no PHP.
#![deny(unsafe_code)]

pub mod address;
pub mod batch;
mod connection;
pub mod consumer;
pub mod delay;
pub mod delivery;
mod dialect;
mod embedded;
pub mod endpoint;
pub mod error;
pub mod fork;
mod format;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod id;
pub mod input;
pub mod job;
mod live;
mod management;
pub mod options;
mod pool;
mod presence;
mod publisher;
pub mod queue;
mod route;
mod runtime;
mod source;
pub mod suggest;
mod sync;
pub mod topology;
pub mod wait;
pub mod wire;

pub use batch::{Batch, BatchReport};
pub use consumer::Consumer;
pub use delivery::{Delivery, Failure};
pub use error::{Error, ErrorKind, Result};
pub use input::Input;
pub use job::{HeaderValue, Job, JobOptions, Payload};
pub use options::{ConsumerOptions, QueueOptions};
pub use pool::{pool_info, shutdown, ConnectionInfo, PoolInfo};
pub use queue::{BrokerInfo, Queue, QueueStats};
pub use wait::{Interrupt, Wait};

/// Name and version of the libraries underneath, as they were locked at build time.
pub const LIBRARY_VERSIONS: &[(&str, &str)] =
    &include!(concat!(env!("OUT_DIR"), "/library_versions.rs"));
