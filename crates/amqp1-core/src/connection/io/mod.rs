//! Sockets and time: opens connections to endpoints, and moves their bytes. Names no broker.

mod address;
pub(super) mod dial;
pub(super) mod driver;
pub(super) mod embedded;
pub(super) mod handshake;
mod mechanism;
pub(super) mod order;
mod race;
mod role;
pub(super) mod shared;
pub(super) mod socket;
pub(crate) mod tls;
mod tls_error;
