//! A small AMQP 1.0 broker: the embedded default of the amqp1 PHP extension (`embedded://`), its
//! test double, and a program of its own.
//!
//! It serves any AMQP 1.0 client. Where the standard leaves a choice, it follows RabbitMQ 4,
//! addresses included. All messages stay in memory. Use it to try the extension and in tests; for
//! production, run RabbitMQ or Azure Service Bus.
//!
//! It deliberately shares no protocol code with the client in `amqp1-core`. The two are independent
//! readings of AMQP and of Service Bus, and each tests the other. If they shared code, both would
//! make the same mistake and no test would notice.
//!
//! From the top down; a layer names only those below it:
//!
//! - [`Broker`]: the public API, which knows no dialect; [`Options`] chooses one
//! - [`rabbitmq`] and `servicebus`: the dialects, which do not know each other. Each has
//!   `connection` (its protocol behaviour), `management` (requests) and `model` (queues and messages
//!   as plain data)
//! - `served`: the trait that a dialect implements for [`Broker`]
//! - `amqp`: connections, sessions and links as the standard defines them; names no dialect
//! - `wire`: frames and their bytes
//!
//! `tests/layers.rs` checks this order.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let broker = amqp1_broker::Broker::new("example");
//! let (client, server) = tokio::io::duplex(64 * 1024);
//! let serving = tokio::spawn({
//!     let broker = broker.clone();
//!     async move { broker.serve(server).await }
//! });
//! // … an AMQP 1.0 client speaks over `client` …
//! drop(client);
//! assert!(serving.await.is_ok());
//! assert_eq!(broker.queue_names(), Vec::<String>::new());
//! # }
//! ```

#![forbid(unsafe_code)]

// Only the Service Bus dialect uses some of its items.
#[cfg_attr(not(feature = "servicebus"), allow(dead_code))]
mod amqp;
mod broker;
mod clock;
mod error;
mod options;
pub mod rabbitmq;
mod served;
#[cfg(feature = "servicebus")]
pub mod servicebus;
mod tls;
mod wire;

pub use amqp::parts::QueueCounts;
pub use broker::Broker;
pub use clock::advance_clock;
pub use error::Error;
pub use options::Options;
pub use tls::Tls;
