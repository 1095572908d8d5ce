//! AMQP 1.0 at the broker's end, the same for every dialect. It names none: the dialects decide who
//! owns a message, who may do what, and which errors exist beyond the standard. A dialect
//! implements three traits on the type of its settings: [`parts::Parts`], the types that it adds to
//! connections, sessions and links; [`session::Manners`]; [`connection::Dialect`]. From the top
//! down:
//!
//! - [`transport`]: moves a connection's bytes and runs its timers
//! - [`connection`], [`session`], [`link`]: the endpoints
//! - [`shared`]: the state that all connections share, with the model behind one lock
//! - [`endpoint`], [`negotiation`], [`windows`], [`credit`], [`deliveries`], [`outbox`],
//!   [`partial`], [`attachments`], [`answers`], [`errors`]: one rule of the standard each
//!
//! The dialects deliberately differ in these points (RabbitMQ; Service Bus):
//!
//! - a handle beyond handle-max: `amqp:resource-limit-exceeded`; a framing error
//! - a source's filter: left out of the answer, because it is not applied; kept, because it names a
//!   session
//! - an attach: answered at once; may wait until a session is free (`Kind::Waiting`)
//! - a delivery that is too large: its link is detached; it is rejected, and the link stays
//! - settling incoming deliveries: one disposition for consecutive deliveries, at the end of a turn
//!   and before a fault is reported; one disposition for each, at once
//! - settling outgoing deliveries: one answer for all that a disposition covers; one for each,
//!   because locks are lost individually
//! - a detached link: its unsettled deliveries return to the queue; they stay locked
//! - a refreshed window: sent with a link's flow if there is one; sent in a flow of its own
//! - sessions with something to send: each goes first in turn; in the order of their channels,
//!   because a fault may end the stream in the middle of a frame
//! - delivery tags: a counter; the lock token

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
