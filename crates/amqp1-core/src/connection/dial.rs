//! From an endpoint to an open connection.

use std::os::fd::AsRawFd;
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::driver::Io;
use super::handshake::{self, Opened};
use super::{start, tls, tls_error, Connection, Remote};
use crate::embedded;
use crate::endpoint::{join, Endpoint, Target};
use crate::error::{Error, Result};
use crate::fork;
use crate::id;

/// The pipe to the embedded broker holds this much in each direction.
const PIPE: usize = 256 * 1024;

/// Dials the endpoint's hosts in turn until one opens.
///
/// # Errors
/// The last host's error, with the others' before it.
pub(crate) async fn dial(endpoint: &Endpoint, role: &str, timeout: Duration) -> Result<Connection> {
    let prefix = endpoint.container_id.as_deref().unwrap_or("amqp1-php");
    let container_id = format!("{prefix}-{role}-{}-{}", std::process::id(), id::short());
    let opened = match &endpoint.target {
        Target::Embedded(name) => {
            let (ours, theirs) = tokio::io::duplex(PIPE);
            embedded::serve(name, endpoint.service_bus.is_some(), theirs);
            opened(
                ours,
                endpoint,
                endpoint.label(),
                "localhost",
                container_id,
                None,
            )
            .await?
        }
        Target::Network { hosts, tls } => {
            network(endpoint, hosts, *tls, container_id, timeout).await?
        }
    };
    start(opened, endpoint.label().to_owned(), endpoint.heartbeat)
}

async fn network(
    endpoint: &Endpoint,
    hosts: &[(String, u16)],
    tls: bool,
    container_id: String,
    timeout: Duration,
) -> Result<Opened> {
    let mut errors: Vec<Error> = Vec::new();
    // A host that swallows packets must not use up the others' time.
    let share = timeout / hosts.len() as u32;
    for (host, port) in hosts {
        let attempt = one_host(endpoint, host, *port, tls, container_id.clone());
        match tokio::time::timeout(share, attempt).await {
            Ok(Ok(opened)) => return Ok(opened),
            Ok(Err(error)) => errors.push(error),
            Err(_) => errors.push(Error::connection(format!(
                "cannot connect to {} at {}: no answer within {:.1} s; is the address right, and no firewall between?",
                endpoint.label(),
                join(host, *port),
                share.as_secs_f64()
            ))),
        }
    }
    let Some(last) = errors.pop() else {
        return Err(Error::config("DSN: a host is missing"));
    };
    if errors.is_empty() {
        return Err(last);
    }
    let before: Vec<&str> = errors.iter().map(Error::message).collect();
    Err(last.context(before.join("; ")))
}

async fn one_host(
    endpoint: &Endpoint,
    host: &str,
    port: u16,
    tls: bool,
    container_id: String,
) -> Result<Opened> {
    let address = join(host, port);
    let label = if matches!(&endpoint.target, Target::Network { hosts, .. } if hosts.len() > 1) {
        format!("{} (at {address})", endpoint.label())
    } else {
        endpoint.label().to_owned()
    };
    let unreachable = |error: std::io::Error| {
        Error::connection(format!(
            "cannot connect to {label}: {error}; is the broker running, and reachable from here?"
        ))
    };
    let tcp = TcpStream::connect((host, port))
        .await
        .map_err(unreachable)?;
    tcp.set_nodelay(true).map_err(unreachable)?;
    let keepalive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(60));
    socket2::SockRef::from(&tcp)
        .set_tcp_keepalive(&keepalive)
        .map_err(unreachable)?;
    let socket = Some(fork::Socket::register(tcp.as_raw_fd()));
    if !tls {
        let mut tcp = tcp;
        let opened = handshake::open(&mut tcp, endpoint, &label, host, container_id).await?;
        return Ok(finish(Io::tcp(tcp), opened, socket));
    }
    let config = tls::client_config(&endpoint.tls)?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Error::config(format!("DSN: host '{host}' cannot be verified by TLS")))?;
    let stream = TlsConnector::from(config)
        .connect(name, tcp)
        .await
        .map_err(|error| {
            let why = tls_error::explain(&error, &endpoint.tls);
            Error::connection(format!("cannot connect to {label}: {why}"))
        })?;
    opened(stream, endpoint, &label, host, container_id, socket).await
}

async fn opened<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    mut stream: S,
    endpoint: &Endpoint,
    label: &str,
    host: &str,
    container_id: String,
    socket: Option<fork::Socket>,
) -> Result<Opened> {
    let opened = handshake::open(&mut stream, endpoint, label, host, container_id).await?;
    Ok(finish(Io::Other(Box::new(stream)), opened, socket))
}

fn finish(io: Io, (remote, input): (Remote, BytesMut), socket: Option<fork::Socket>) -> Opened {
    Opened {
        io,
        remote,
        input,
        socket,
    }
}
