#![allow(clippy::unwrap_used, clippy::expect_used)]
//! The driver between a socket that the kernel made and a peer that behaves badly.

use std::future::Future as _;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::super::socket::Socket;
use super::super::tls;
use super::*;
use crate::base::fork;
use crate::base::signal::{Signal, Woken};
use crate::connection::protocol::remote::Remote;
use crate::connection::protocol::Protocol;
use crate::settings::options::TlsOptions;

/// More than the socket's buffers hold.
const MUCH: usize = 400;

fn socket(stream: UnixStream) -> Socket {
    socket2::SockRef::from(&stream)
        .set_send_buffer_size(1)
        .unwrap();
    let registered = fork::Socket::register(stream.as_raw_fd());
    Socket::new(stream.into_std().unwrap(), registered)
}

fn shared(socket: Socket, idle_time_out: Option<Duration>) -> Arc<Shared> {
    let remote = Remote {
        max_frame_size: 512,
        channel_max: 1023,
        idle_time_out,
        ..Remote::default()
    };
    let protocol = Protocol::new("test", &remote, Duration::from_secs(60), Instant::now());
    let (input, label) = (BytesMut::new(), "test".to_owned());
    Arc::new(Shared::new(protocol, Some(socket), input, label))
}

/// Begins many sessions, and closes the connection. Returns the number of bytes.
fn say_much(shared: &Shared) -> usize {
    let mut wired = shared.lock();
    for _ in 0..MUCH {
        wired.open_session(Signal::new(), Instant::now()).unwrap();
    }
    wired.close().unwrap();
    let size = wired.poll_output().pending();
    shared.kick(wired);
    assert!(shared.lock().wants_room(), "the socket holds all of it");
    size
}

/// A server's and a client's end with TLS.
async fn with_tls() -> (tokio_rustls::server::TlsStream<UnixStream>, Socket) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![own.cert.der().clone()], key)
    .unwrap();
    let options = TlsOptions {
        insecure_skip_verify: true,
        ..TlsOptions::default()
    };
    let connector = TlsConnector::from(tls::client_config(&options).unwrap());
    let name = ServerName::try_from("localhost").unwrap();
    let (server, client) = tokio::join!(
        TlsAcceptor::from(Arc::new(config)).accept(theirs),
        connector.connect(name, ours)
    );
    let (stream, session) = client.unwrap().into_inner();
    (server.unwrap(), socket(stream).with_tls(session))
}

#[tokio::test]
async fn what_a_full_socket_left_in_tls_is_written_when_it_has_room_again() {
    let (mut peer, socket) = with_tls().await;
    let shared = shared(socket, None);
    tokio::spawn(drive(Arc::clone(&shared)));
    let mut missing = say_much(&shared);
    let mut buffer = [0; 1000];
    while missing > 0 {
        let read = tokio::time::timeout(Duration::from_secs(10), peer.read(&mut buffer));
        let count = read.await.expect("the rest stayed in a buffer").unwrap();
        assert!(count > 0, "{missing} bytes are missing at the end");
        missing = missing.checked_sub(count).unwrap();
    }
}

#[tokio::test]
async fn a_caller_reads_and_writes_tls_without_the_driver() {
    let (mut peer, socket) = with_tls().await;
    let shared = shared(socket, None);
    let signal = shared.lock().signal().clone();
    signal.comes_from(&shared);
    let mut missing = say_much(&shared);
    let caller = std::thread::spawn(move || {
        while shared.lock().ended().is_none() {
            let seen = signal.generation();
            assert_ne!(signal.wait(seen, Duration::from_secs(10)), Woken::TimedOut);
        }
        shared.lock().ended()
    });
    let mut buffer = [0; 1000];
    while missing > 0 {
        missing -= peer.read(&mut buffer).await.unwrap();
    }
    // close, as the answer to ours
    peer.write_all(&[0, 0, 0, 12, 2, 0, 0, 0, 0, 0x53, 0x18, 0x45])
        .await
        .unwrap();
    peer.flush().await.unwrap();
    let ended = tokio::task::spawn_blocking(|| caller.join().unwrap());
    assert!(matches!(ended.await.unwrap(), Some(Ok(()))));
}

#[tokio::test]
async fn a_peer_that_reads_nothing_costs_no_cpu_when_a_heartbeat_is_due() {
    let (ours, _peer) = UnixStream::pair().unwrap();
    let shared = shared(socket(ours), Some(Duration::from_millis(300)));
    say_much(&shared);
    let runs = AtomicUsize::new(0);
    let mut driver = std::pin::pin!(drive(shared));
    let counted = std::future::poll_fn(|cx| {
        runs.fetch_add(1, Ordering::Relaxed);
        driver.as_mut().poll(cx)
    });
    let ended = tokio::time::timeout(Duration::from_millis(600), counted).await;
    assert!(ended.is_err(), "the connection ended");
    // Some for each heartbeat that is due, and some at the start.
    let runs = runs.into_inner();
    assert!((1..50).contains(&runs), "{runs}");
}

#[tokio::test]
async fn the_driver_takes_the_socket_back_from_callers_that_do_not_come_again() {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    let shared = shared(socket(ours), None);
    let driver = tokio::spawn(drive(Arc::clone(&shared)));
    shared.lock().role.enter();
    for _ in 0..1000 {
        if shared.lock().role.is_ticking() {
            break;
        }
        // An empty frame. The driver reads the first one itself if it has just begun.
        peer.write_all(&[0, 0, 0, 8, 2, 0, 0, 0]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(
        shared.lock().role.is_ticking(),
        "the driver reads for callers"
    );
    assert!(shared.lock().read_now());
    shared.lock().role.leave();
    // Nobody comes, but the end.
    drop(peer);
    let ended = tokio::time::timeout(Duration::from_secs(10), driver);
    ended.await.expect("the end stayed unread").unwrap();
    assert!(shared.lock().lost().is_some());
}
