//! Opens a connection to an endpoint.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;

use super::address::{self, label};
use super::handshake::Opened;
use super::order::{Host, Order};
use super::{embedded, race};
use crate::base::{clock, id};
use crate::error::{Error, Result};
use crate::settings::endpoint::{Endpoint, Target};

/// The names of an open connection.
pub(crate) struct Label {
    /// The endpoint and the host.
    pub label: String,
    /// The container-id that it was opened with.
    pub container_id: String,
}

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
) -> Result<(Opened, Label, Host)> {
    let prefix = endpoint.container_id.as_deref().unwrap_or("amqp1-php");
    let container_id = format!("{prefix}-{role}-{}-{}", std::process::id(), id::short()?);
    match &endpoint.target {
        Target::Embedded(name) => {
            let label = endpoint.label();
            let (ours, theirs) =
                UnixStream::pair().map_err(|error| address::unreachable(label, &error))?;
            embedded::serve(name, endpoint.dialect, theirs)?;
            let opened = address::embedded(ours, endpoint, label, container_id.clone()).await?;
            let label = Label {
                label: label.to_owned(),
                container_id,
            };
            Ok((opened, label, Host::default()))
        }
        Target::Network { .. } if clock::is_moved() => Err(Error::unsupported(format!(
            "{}: the clock of this process was moved for tests, which only embedded:// allows; use other brokers in another process",
            endpoint.label()
        ))),
        Target::Network { hosts, .. } => {
            let (opened, host) =
                race::first(endpoint, hosts, order, &container_id, timeout).await?;
            let label = Label {
                label: label(endpoint, hosts, host.index),
                container_id,
            };
            Ok((opened, label, host))
        }
    }
}
