//! Opens a connection to an endpoint.

use std::sync::Arc;
use std::time::Duration;

use super::address::{label, opened};
use super::handshake::Opened;
use super::order::{Host, Order};
use super::{embedded, race};
use crate::base::id;
use crate::error::Result;
use crate::settings::endpoint::{Endpoint, Target};

/// The capacity of the pipe to the embedded broker in each direction, in bytes.
const PIPE: usize = 256 * 1024;

/// Tries the endpoint's hosts, in this order, until one opens. Returns the connection, its label,
/// and the host.
///
/// # Errors
/// The last host's error, preceded by the others'.
pub(crate) async fn dial(
    endpoint: &Arc<Endpoint>,
    role: &str,
    order: &Order,
    timeout: Duration,
) -> Result<(Opened, String, Host)> {
    let prefix = endpoint.container_id.as_deref().unwrap_or("amqp1-php");
    let container_id = format!("{prefix}-{role}-{}-{}", std::process::id(), id::short()?);
    match &endpoint.target {
        Target::Embedded(name) => {
            let (ours, theirs) = tokio::io::duplex(PIPE);
            embedded::serve(name, endpoint.dialect, theirs)?;
            let label = endpoint.label();
            let opened = opened(ours, endpoint, label, "localhost", container_id, None).await?;
            Ok((opened, label.to_owned(), Host::default()))
        }
        Target::Network { hosts, .. } => {
            let (opened, host) =
                race::first(endpoint, hosts, order, &container_id, timeout).await?;
            Ok((opened, label(endpoint, hosts, host.index), host))
        }
    }
}
