//! The job-queue client behind the amqp1 PHP extension. It knows no PHP.
//!
//! It deliberately shares no protocol code with the broker in `amqp1-broker`. The two are
//! independent readings of AMQP and of Service Bus, and each tests the other.
#![deny(unsafe_code)]

mod base;
mod brokers;
pub mod config;
mod connection;
pub mod error;
mod failed_queue;
mod format;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod job;
mod log;
mod metrics;
mod publish;
pub mod queue;
mod reach;
mod receive;
mod request;
mod settings;
mod testing;
pub mod wire;

pub use base::{fork, id, threads, wait};
pub use brokers::rabbitmq::{address, delay};
pub use log::{Level, LogEntry};
pub use metrics::{metrics, ConnectionMetrics, Histogram, Metrics, QueueMetrics, RequestMetrics};
pub use publish::batch;
pub use receive::{consumer, delivery};
pub use settings::{endpoint, input, options, place, retry, suggest};
pub use testing::advance_clock;

/// Service Bus: how the client authenticates.
pub mod servicebus {
    pub use crate::reach::pool::forget_callback;
    pub use crate::settings::{access, token};
}

/// RabbitMQ's queues, exchanges and bindings, as far as options describe them.
pub mod topology {
    pub use crate::settings::topology_options as options;
}

pub use bstr::{BStr, BString};

pub use base::events::{Event, EventKind};
pub use base::per_process::PerProcess;
pub use base::wait::{Interrupt, Wait};
pub use brokers::seams::peek::PeekedState;
pub use config::Jobs;
pub use error::{Error, ErrorKind, Result};
pub use format::body::Plain;
pub use format::contents::Contents;
pub use format::{Carried, Format, HeadersOf, ValuesOf};
pub use job::failure::{Failure, FailureFacts};
pub use job::keep::{Keep, Kept};
pub use job::properties::JobProperties;
pub use job::{HeaderValue, Job, JobOptions, Payload};
pub use publish::batch::{Batch, BatchReport};
pub use publish::observed::{observe_copies, AddedHeaders, CopyFacts, CopyObserver, PushTarget};
pub use queue::{BrokerInfo, Queue, QueueStats};
pub use reach::pool::{pool_info, shutdown, ConnectionInfo, PoolInfo};
pub use receive::consumer::Consumer;
pub use receive::delivery::{Delivery, Outcome};
pub use receive::peeked::Peeked;
pub use receive::replies::reply::Reply;
pub use request::PendingReply;
pub use settings::input::Input;
pub use settings::options::{ConsumerOptions, QueueOptions};

/// Name and version of the underlying libraries, as locked at build time.
pub const LIBRARY_VERSIONS: &[(&str, &str)] =
    &include!(concat!(env!("OUT_DIR"), "/library_versions.rs"));
