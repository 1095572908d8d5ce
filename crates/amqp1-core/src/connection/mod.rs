//! A connection: protocol state that PHP's thread uses directly, and a task on the runtime that
//! moves its bytes. Names no broker.
//!
//! [`protocol`] implements AMQP without sockets or clocks; [`io`] connects, moves bytes and
//! provides the time. [`handle`] combines both, and the rest of the client uses it through the
//! links.
//!
//! fe2o3-amqp's own connection does not fit. It moves every frame through channels between three
//! tasks and flushes each one (4–6 µs per message before any work of ours). It hides the cause of
//! an end of stream, resets credit on a flow that crosses messages, and discards the settlement
//! outcome that a receiver in second mode waits for. Its codec and types are used for everything
//! that is not exchanged once per job.

mod existence;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod handle;
mod io;
mod lending;
mod patience;
mod ping;
mod protocol;
mod receiver_link;
mod request_links;
mod sender_link;

pub(crate) use existence::{Existence, Question};
pub(crate) use handle::{dial, Connection};
pub(crate) use io::embedded::advance_clock as advance_embedded_clock;
pub(crate) use io::order::{Host, Order, Rank};
pub(crate) use io::tls;
pub(crate) use patience::PATIENCE;
pub(crate) use ping::ping;
pub(crate) use protocol::condition::all_in_use;
pub(crate) use protocol::elastic::{Elastic, LastTaken};
pub(crate) use protocol::options::{Dynamic, ReceiverOptions, SenderOptions, Settling};
pub(crate) use protocol::receiver::Incoming;
pub(crate) use protocol::remote::Remote;
pub(crate) use protocol::terminus::Ask;
pub(crate) use protocol::tracker::{Confirmation, Tracked, Tracker};
pub(crate) use protocol::watch::Watch;
pub(crate) use receiver_link::ReceiverLink;
pub(crate) use request_links::{Node, RequestLinks};
pub(crate) use sender_link::SenderLink;
