//! A small AMQP 1.0 broker: the embedded default of the amqp1 PHP extension (`embedded://`), its
//! test double, and a program of its own.
//!
//! It speaks to any AMQP 1.0 client, by the rules and with the addresses of RabbitMQ 4 where the
//! standard leaves a choice, and keeps all messages in memory. It is for a first try and for tests;
//! production is what RabbitMQ and Azure Service Bus are for.
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

// Some of it only the one dialect needs.
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
pub use error::Error;
pub use options::Options;
pub use tls::Tls;
