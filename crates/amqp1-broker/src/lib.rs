//! A small AMQP 1.0 broker: the embedded default of the amqp1 PHP extension (`embedded://`), its
//! test double, and a program of its own.
//!
//! It speaks to any AMQP 1.0 client, by the rules and with the addresses of RabbitMQ 4 where the
//! standard leaves a choice, and keeps all messages in memory. It is for a first try and for tests;
//! production is what RabbitMQ and Azure Service Bus are for.
//!
//! It shares no protocol code with the client in `amqp1-core`, on purpose: the two are independent
//! readings of AMQP and of Service Bus, and each is the other's test. What both have is found twice
//! or not at all; do not make it one.
//!
//! From the top down, each floor naming only those below it:
//!
//! - [`Broker`]: the face, which knows no dialect; [`Options`] chooses one
//! - [`rabbitmq`] and `servicebus`: the dialects, strangers to each other; in each `connection`
//!   (its manners), `management` (requests) and `model` (queues and messages as plain data)
//! - `served`: what a dialect is to the face
//! - `amqp`: connections, sessions and links as the standard has them; names no dialect
//! - `wire`: frames and their octets
//!
//! `tests/layers.rs` keeps them.
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
