//! What AMQP 1.0 itself asks of the broker's end, the same in every dialect: plain parts that the
//! dialects' connections, sessions and links are made of. Whose messages they are, who may do what,
//! and what goes wrong beyond the standard, the dialects decide.

pub(crate) mod answers;
pub(crate) mod credit;
pub(crate) mod deliveries;
pub(crate) mod endpoint;
pub(crate) mod errors;
pub(crate) mod negotiation;
pub(crate) mod outbox;
pub(crate) mod partial;
pub(crate) mod routes;
pub(crate) mod windows;
