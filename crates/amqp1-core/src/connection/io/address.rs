//! Opens a connection to one address of a host.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::handshake::{self, Opened};
use super::socket::Socket;
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
    let registered = fork::Socket::register(tcp.as_raw_fd());
    if !matches!(&endpoint.target, Target::Network { tls: true, .. }) {
        let mut tcp = tcp;
        let opened = handshake::open(&mut tcp, endpoint, label, host, container_id).await?;
        let socket = Socket::new(tcp.into_std().map_err(unreachable)?, registered);
        return Ok(finish(socket, opened));
    }
    let config = tls::client_config(&endpoint.tls)?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Error::config(format!("DSN: host '{host}' cannot be verified by TLS")))?;
    let mut stream = TlsConnector::from(config)
        .connect(name, tcp)
        .await
        .map_err(|error| {
            let why = tls_error::explain(&error, &endpoint.tls);
            Error::connection(format!("cannot connect to {label}: {why}"))
        })?;
    let opened = handshake::open(&mut stream, endpoint, label, host, container_id).await?;
    let (tcp, session) = stream.into_inner();
    let socket = Socket::new(tcp.into_std().map_err(unreachable)?, registered);
    Ok(finish(socket.with_tls(session), opened))
}

/// Opens the AMQP connection to the embedded broker.
pub(super) async fn embedded(
    mut pipe: UnixStream,
    endpoint: &Endpoint,
    label: &str,
    container_id: String,
) -> Result<Opened> {
    let unusable = |error: std::io::Error| unreachable(label, &error);
    let registered = fork::Socket::register(pipe.as_raw_fd());
    let opened = handshake::open(&mut pipe, endpoint, label, "localhost", container_id).await?;
    let socket = Socket::new(pipe.into_std().map_err(unusable)?, registered);
    Ok(finish(socket, opened))
}

/// The network reported an error.
pub(super) fn unreachable(label: &str, error: &std::io::Error) -> Error {
    Error::connection(format!(
        "cannot connect to {label}: {error}; is the broker running and reachable from here?"
    ))
}

fn finish(socket: Socket, (remote, input): (Remote, BytesMut)) -> Opened {
    Opened {
        socket,
        remote,
        input,
    }
}
