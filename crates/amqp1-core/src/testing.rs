//! For the tests of applications.

use std::time::Duration;

use crate::connection::advance_embedded_clock;
use crate::error::{Error, Result};
use crate::reach::pool::pool_info;

/// Moves the clock of the embedded brokers of this process forward: delayed jobs become due, TTLs,
/// locks and consumer timeouts pass. From then on, this process connects to no other broker.
///
/// # Errors
/// [`crate::ErrorKind::Unsupported`] if it is connected to another broker.
pub fn advance_clock(by: Duration) -> Result<()> {
    let connections = pool_info().connections;
    let mut others = connections
        .iter()
        .filter(|one| !one.endpoint.starts_with("embedded://"));
    if let Some(other) = others.next() {
        return Err(Error::unsupported(format!(
            "only the clock of embedded:// can be moved, but this process is connected to {}; use it in a process of its own",
            other.endpoint
        )));
    }
    advance_embedded_clock(by);
    Ok(())
}
