//! Pipelines from a configuration: YAML, JSON or a PHP array in RoadRunner's structure. It may use
//! everything below; only the crate's public interface names it.
//!
//! ```yaml
//! amqp1:
//!   addr: "amqp://guest:guest@localhost:5672"
//! jobs:
//!   consume: ["orders"]
//!   pipelines:
//!     orders:
//!       driver: amqp1
//!       config: { queue: "orders", prefetch: 10 }
//! ```

mod address;
mod expand;
mod file;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod honour;
mod jobs;
mod json;
mod pipeline;
mod section;
mod yaml;

pub use expand::Environment;
pub use jobs::Jobs;
