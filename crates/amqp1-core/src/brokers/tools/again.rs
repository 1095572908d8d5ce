//! Work over links to a broker's own nodes, which end for reasons that pass.

use crate::base::id;
use crate::base::pauses::{NODE, NODE_TRIES};
use crate::base::wait::Wait;
use crate::connection::Connection;
use crate::error::{ErrorKind, Result};

/// Idempotent work, done again when its link ended while the connection stands: RabbitMQ ends it with an internal error
/// when two processes declare the same queue at the same moment. A lost connection is its user's to dial again.
///
/// # Errors
/// The last attempt's.
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
