//! Sockets and time: from an endpoint to an open connection, and the bytes of one.

mod address;
pub(super) mod dial;
pub(super) mod driver;
mod embedded;
pub(super) mod handshake;
mod mechanism;
pub(super) mod order;
mod race;
pub(super) mod shared;
pub(super) mod stream;
pub(crate) mod tls;
mod tls_error;
