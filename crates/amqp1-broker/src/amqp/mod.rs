//! What AMQP 1.0 itself asks of the broker's end, the same in every dialect. Whose messages they
//! are, who may do what, and what goes wrong beyond the standard, the dialects decide. A dialect is
//! three traits on its settings' type: [`parts::Parts`], the types that it puts into connections,
//! sessions and links; [`session::Manners`]; [`connection::Dialect`]. From the top down:
//!
//! - [`transport`]: moves a connection's octets and watches its timers
//! - [`connection`], [`session`], [`link`]: the endpoints
//! - [`shared`]: what a broker's connections share, its model behind one lock
//! - [`endpoint`], [`negotiation`], [`windows`], [`credit`], [`deliveries`], [`outbox`], [`partial`],
//!   [`attachments`], [`answers`], [`errors`]: one rule of the standard each
//!
//! They differ on purpose, the dialect of RabbitMQ first, in:
//!
//! - a handle beyond handle-max: `amqp:resource-limit-exceeded`; a framing error;
//! - a source's filter: left out of the answer, for it is not applied; kept, for it names a session;
//! - an attach: answered at once; perhaps held until a session is free (`Kind::Waiting`);
//! - a delivery that is too large: its link is detached; it is rejected, and the link goes on;
//! - settling what came in: consecutive deliveries by one disposition, at the end of a turn, and
//!   before a fault is told; each by one of its own, at once;
//! - settling what went out: one answer for all that a disposition means; one for each, as locks are
//!   lost one by one;
//! - a link that goes: what it holds returns to its queue; what was sent stays locked;
//! - a refreshed window: told with a link's flow where there is one; told by itself;
//! - sessions that have something to send: each in its turn first; in the order of their channels,
//!   because a fault may end the stream in the middle of a frame;
//! - delivery tags: counted; lock tokens.

pub(crate) mod answers;
pub(crate) mod attachments;
pub(crate) mod connection;
pub(crate) mod credit;
pub(crate) mod deliveries;
pub(crate) mod endpoint;
pub(crate) mod errors;
pub(crate) mod ids;
pub(crate) mod link;
pub(crate) mod negotiation;
pub(crate) mod outbox;
pub(crate) mod partial;
pub(crate) mod parts;
pub(crate) mod session;
pub(crate) mod shared;
pub(crate) mod transport;
pub(crate) mod wakers;
pub(crate) mod windows;
