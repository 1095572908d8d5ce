//! Retries work over links to a broker's own nodes, which may end for temporary reasons.

use crate::base::id;
use crate::base::pauses::{NODE, NODE_TRIES};
use crate::base::wait::Wait;
use crate::connection::Connection;
use crate::error::{ErrorKind, Result};

/// Retries idempotent work whose link ended while its connection stays open. RabbitMQ ends it with
/// an internal error if two processes declare the same queue at the same moment. After a lost
/// connection, reconnecting is up to the caller.
///
/// # Errors
/// The error of the last attempt.
pub(crate) fn again<T>(
    connection: &Connection,
    wait: &Wait<'_>,
    work: impl Fn() -> Result<T>,
) -> Result<T> {
    let mut tries = 0;
    loop {
        match work() {
            Err(error)
                if error.kind() == ErrorKind::Connection
                    && tries < NODE_TRIES
                    && connection.lost().is_none() =>
            {
                tries += 1;
                wait.sleep(NODE.mul_f64(id::jitter()))?;
            }
            done => return done,
        }
    }
}
