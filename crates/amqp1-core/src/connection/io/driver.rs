//! Moves bytes between the socket and the protocol, and provides the time.
//!
//! Each connection has one task. Reading never waits for writing; otherwise, two peers that both
//! wait for the other to read would wait for ever.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::shared::Shared;
use super::stream::Io;
use crate::base::fork;
use crate::error::Error;

/// Drives the connection until it ends.
pub(crate) async fn drive(
    shared: Arc<Shared>,
    mut io: Io,
    mut input: BytesMut,
    socket: Option<fork::Socket>,
) {
    // If this task panics or is aborted, this wakes everyone who waits for it.
    let guard = LostOnDrop(Arc::clone(&shared));
    let ended = run(&shared, &mut io, &mut input).await;
    let error = match ended {
        Ok(()) => Error::connection(format!("the connection to {} is closed", shared.label)),
        Err(error) => error,
    };
    shared.lock().handle_lost(&error);
    drop(guard);
    let _ = tokio::time::timeout(Duration::from_millis(200), io.shutdown()).await;
    // Unregistered before its number can belong to another file.
    drop(socket);
}

struct LostOnDrop(Arc<Shared>);

impl Drop for LostOnDrop {
    fn drop(&mut self) {
        let label = &self.0.label;
        let error = Error::connection(format!("the connection to {label} ended"));
        let mut wired = self.0.lock();
        wired.handle_lost(&error);
        wired.let_go_of_socket();
    }
}

async fn run(shared: &Shared, io: &mut Io, input: &mut BytesMut) -> Result<(), Error> {
    // Bytes that arrived together with the broker's open.
    if shared.lock().handle_input(input, Instant::now())? {
        return Ok(());
    }
    loop {
        let wake_at = shared.lock().poll_timeout(Instant::now());
        tokio::select! {
            progress = poll_fn(|cx| exchange(shared, io, input, cx)) => {
                if progress? {
                    flush_rest(shared, io).await;
                    return Ok(());
                }
            }
            () = shared.wake.notified() => {
                if let Some(given_up) = shared.lock().lost().cloned() {
                    return Err(given_up);
                }
            }
            () = tokio::time::sleep_until(wake_at.into()) => {
                shared.lock().handle_timeout(Instant::now())?;
            }
        }
    }
}

/// Writes and reads until neither is possible. Ready with true when the connection ends.
fn exchange(
    shared: &Shared,
    io: &mut Io,
    input: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<Result<bool, Error>> {
    let lost = |error: io::Error| {
        Error::connection(format!("the connection to {} broke: {error}", shared.label))
    };
    loop {
        write_out(shared, io, cx).map_err(lost)?;
        let before = input.len();
        match io.poll_read(cx, input) {
            Poll::Ready(Ok(0)) => {
                return Poll::Ready(Err(Error::connection(format!(
                    "{} closed the connection without giving a reason (end of stream)",
                    shared.label
                ))));
            }
            Poll::Ready(Ok(_)) => {
                debug_assert!(input.len() > before);
                if shared.lock().handle_input(input, Instant::now())? {
                    return Poll::Ready(Ok(true));
                }
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(lost(error))),
            Poll::Pending => {
                // Handling the input may have produced answers after the last write.
                let mut wired = shared.lock();
                if wired.poll_output().is_empty() {
                    return match wired.poll_new_timer() {
                        true => Poll::Ready(Ok(false)),
                        false => Poll::Pending,
                    };
                }
                drop(wired);
                if write_out(shared, io, cx).map_err(lost)? {
                    return Poll::Pending;
                }
            }
        }
    }
}

/// Writes the output; true if the socket accepts no more for now.
fn write_out(shared: &Shared, io: &mut Io, cx: &mut Context<'_>) -> io::Result<bool> {
    let mut wired = shared.lock();
    while !wired.poll_output().is_empty() {
        match io.poll_write(cx, wired.poll_output()) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(count)) => wired.handle_written(count, Instant::now()),
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => return Ok(true),
        }
    }
    drop(wired);
    // Needed even if nothing was written now: TLS keeps the bytes that the socket did not accept,
    // and writes them only when flushed again.
    if let Poll::Ready(result) = io.poll_flush(cx) {
        result?;
    }
    Ok(false)
}

/// After the broker's close, our own close must still be sent.
async fn flush_rest(shared: &Shared, io: &mut Io) {
    let rest = poll_fn(|cx| match write_out(shared, io, cx) {
        Ok(true) => Poll::Pending,
        Ok(false) | Err(_) => Poll::Ready(()),
    });
    let _ = tokio::time::timeout(Duration::from_millis(500), rest).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::ReadBuf;

    use std::pin::Pin;

    use tokio::io::{AsyncRead, AsyncWrite};

    use super::super::handshake::Opened;
    use super::super::order::Host;
    use super::*;
    use crate::base::sync::Mutex;
    use crate::connection::handle::Connection;
    use crate::connection::protocol::remote::Remote;

    /// Accepts writes, and sends them only at the second flush, like a TLS stream whose socket was
    /// full.
    #[derive(Default)]
    struct Full {
        taken: Vec<u8>,
        sent: Arc<Mutex<Vec<u8>>>,
        was_asked: bool,
    }

    impl AsyncWrite for Full {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.taken.extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            if !std::mem::replace(&mut self.was_asked, true) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let taken = std::mem::take(&mut self.taken);
            self.sent.lock().extend(taken);
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// A silent peer; everything written to it goes to `peer`.
    fn connection(
        peer: impl AsyncWrite + Send + Unpin + 'static,
        idle_time_out: Option<Duration>,
    ) -> Connection {
        let opened = Opened {
            io: Io::Other(Box::new(tokio::io::join(Mute, peer))),
            remote: Remote {
                max_frame_size: 512,
                idle_time_out,
                ..Remote::default()
            },
            input: BytesMut::new(),
            socket: None,
        };
        let (label, heartbeat) = ("test".to_owned(), Duration::from_secs(60));
        Connection::start(opened, label, Host::default(), heartbeat)
    }

    struct Mute;

    impl AsyncRead for Mute {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn what_a_full_socket_left_in_tls_is_written_when_it_has_room_again() {
        let stream = Full::default();
        let sent = Arc::clone(&stream.sent);
        connection(stream, None).begin_close();
        for _ in 0..200 {
            if !sent.lock().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the close frame stayed in the stream's buffer");
    }

    /// A peer that reads nothing; counts the attempts to write.
    #[derive(Default)]
    struct Stuck(Arc<AtomicUsize>);

    impl AsyncWrite for Stuck {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_peer_that_reads_nothing_costs_no_cpu_when_a_heartbeat_is_due() {
        let stream = Stuck::default();
        let tries = Arc::clone(&stream.0);
        connection(stream, Some(Duration::from_millis(300))).begin_close();
        tokio::time::sleep(Duration::from_millis(600)).await;
        let tries = tries.load(Ordering::Relaxed);
        // Two for each heartbeat that is due, and some at the start.
        assert!((1..50).contains(&tries), "{tries}");
    }
}
