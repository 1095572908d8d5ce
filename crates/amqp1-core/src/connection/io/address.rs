//! Opens a connection to one address of a host.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::handshake::{self, Opened};
use super::stream::Io;
use super::{tls, tls_error};
use crate::base::fork;
use crate::connection::protocol::remote::Remote;
use crate::error::{Error, Result};
use crate::settings::endpoint::{join, Endpoint, Target};

/// The progress of an attempt, as others can see it.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicBool);

impl Progress {
    /// Records that the TCP connection was accepted, so a host exists there.
    pub fn connected(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_connected(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The endpoint's label; with several hosts, it names this one.
pub(super) fn label(endpoint: &Endpoint, hosts: &[(String, u16)], host: usize) -> String {
    match hosts.get(host) {
        Some((name, port)) if hosts.len() > 1 => {
            format!("{} (at {})", endpoint.label(), join(name, *port))
        }
        _ => endpoint.label().to_owned(),
    }
}

/// Connects to one address of a host, and opens the AMQP connection.
pub(super) async fn connect(
    endpoint: &Endpoint,
    label: &str,
    host: &str,
    address: SocketAddr,
    container_id: String,
    progress: &Progress,
) -> Result<Opened> {
    let unreachable = |error: std::io::Error| unreachable(label, &error);
    let tcp = TcpStream::connect(address).await.map_err(unreachable)?;
    progress.connected();
    tcp.set_nodelay(true).map_err(unreachable)?;
    let keepalive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(60));
    socket2::SockRef::from(&tcp)
        .set_tcp_keepalive(&keepalive)
        .map_err(unreachable)?;
    let socket = Some(fork::Socket::register(tcp.as_raw_fd()));
    if !matches!(&endpoint.target, Target::Network { tls: true, .. }) {
        let mut tcp = tcp;
        let opened = handshake::open(&mut tcp, endpoint, label, host, container_id).await?;
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
    opened(stream, endpoint, label, host, container_id, socket).await
}

/// The network reported an error.
pub(super) fn unreachable(label: &str, error: &std::io::Error) -> Error {
    Error::connection(format!(
        "cannot connect to {label}: {error}; is the broker running and reachable from here?"
    ))
}

pub(super) async fn opened<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
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
