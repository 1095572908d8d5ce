//! The job-queue client behind the amqp1 PHP extension. It knows no PHP.
#![deny(unsafe_code)]

pub mod address;
mod backoff;
pub mod batch;
pub mod config;
mod connection;
pub mod consumer;
pub mod delay;
pub mod delivery;
mod dialect;
mod embedded;
pub mod endpoint;
pub mod error;
mod failed;
mod failure;
pub mod fork;
mod format;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod history;
pub mod id;
pub mod input;
mod intake;
pub mod job;
mod live;
mod lost;
mod management;
pub mod options;
pub mod place;
mod pool;
mod presence;
mod publisher;
mod pull;
pub mod queue;
pub mod retry;
mod route;
mod runtime;
pub mod servicebus;
mod source;
pub mod suggest;
mod sync;
pub mod topology;
pub mod wait;
pub mod wire;

pub use bstr::{BStr, BString};

pub use batch::{Batch, BatchReport};
pub use config::Jobs;
pub use consumer::Consumer;
pub use delivery::{Delivery, Outcome};
pub use error::{Error, ErrorKind, Result};
pub use failure::{Failure, FailureFacts};
pub use format::body::Plain;
pub use format::Format;
pub use input::Input;
pub use job::{HeaderValue, Job, JobOptions, Payload};
pub use lost::on_lost;
pub use options::{ConsumerOptions, QueueOptions};
pub use pool::{pool_info, shutdown, ConnectionInfo, PoolInfo};
pub use queue::{BrokerInfo, Queue, QueueStats};
pub use wait::{Interrupt, Wait};

/// Name and version of the libraries underneath, as they were locked at build time.
pub const LIBRARY_VERSIONS: &[(&str, &str)] =
    &include!(concat!(env!("OUT_DIR"), "/library_versions.rs"));
