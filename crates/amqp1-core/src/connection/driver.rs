//! Moves bytes between the socket and the state, sends heartbeats, notices silence.
//!
//! One task a connection. Reading never waits for writing, or two peers that
//! both wait for the other to read would wait for ever.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

use super::Shared;
use crate::base::fork;
use crate::error::Error;
use crate::wire::frame;

/// The largest frame we take, in bytes; announced in `open`.
pub(crate) const MAX_FRAME_SIZE: u32 = 128 * 1024;

/// Read at a time.
const READ_SIZE: usize = 64 * 1024;

/// Any stream that is not plain TCP: TLS, or the embedded broker's pipe.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The socket. The writing half of plain TCP is shared, so that PHP's thread
/// writes to it without a hop.
pub(crate) enum Io {
    Tcp(OwnedReadHalf, Arc<OwnedWriteHalf>),
    Other(Box<dyn Stream>),
}

impl Io {
    /// Plain TCP.
    pub fn tcp(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Io::Tcp(read, Arc::new(write))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Io::Tcp(_, tcp) => loop {
                match tcp.try_write(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        match tcp.as_ref().as_ref().poll_write_ready(cx)? {
                            Poll::Ready(()) => continue,
                            Poll::Pending => return Poll::Pending,
                        }
                    }
                    done => return Poll::Ready(done),
                }
            },
            Io::Other(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Io::Tcp(..) => Poll::Ready(Ok(())),
            Io::Other(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Reads what is there into the buffer's spare room; `Ok(0)` at the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>> {
        into.reserve(READ_SIZE);
        match self {
            Io::Tcp(read, _) => poll_read_buf(Pin::new(read), cx, into),
            Io::Other(stream) => poll_read_buf(Pin::new(stream), cx, into),
        }
    }

    async fn shutdown(&mut self) {
        // The other end may be gone already; there is nobody left to tell.
        match self {
            Io::Tcp(_, tcp) => {
                let _ = shutdown_both(tcp.as_ref().as_ref());
            }
            Io::Other(stream) => {
                let _ = tokio::io::AsyncWriteExt::shutdown(stream).await;
            }
        }
    }
}

/// Ends both directions, also for a forked child that still holds the socket.
fn shutdown_both(tcp: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(tcp).shutdown(std::net::Shutdown::Both)
}

/// Drives the connection until it ends.
pub(crate) async fn drive(
    shared: Arc<Shared>,
    mut io: Io,
    mut input: BytesMut,
    socket: Option<fork::Socket>,
) {
    // Also when this task panics or is aborted, nobody waits for it.
    let guard = LostOnDrop(Arc::clone(&shared));
    let ended = run(&shared, &mut io, &mut input).await;
    let error = match ended {
        Ok(()) => Error::connection(format!("the connection to {} is closed", shared.label)),
        Err(error) => error,
    };
    shared.state.lock().fail(&error);
    drop(guard);
    let _ = tokio::time::timeout(Duration::from_millis(200), io.shutdown()).await;
    // Forgotten before its number can be another file's.
    drop(socket);
}

struct LostOnDrop(Arc<Shared>);

impl Drop for LostOnDrop {
    fn drop(&mut self) {
        let label = &self.0.label;
        self.0.state.lock().fail(&Error::connection(format!(
            "the connection to {label} ended"
        )));
    }
}

async fn run(shared: &Shared, io: &mut Io, input: &mut BytesMut) -> Result<(), Error> {
    // What came together with the broker's open.
    if process(shared, input)? {
        return Ok(());
    }
    loop {
        let wake_at = next_timer(shared);
        tokio::select! {
            progress = poll_fn(|cx| exchange(shared, io, input, cx)) => {
                if progress? {
                    flush_rest(shared, io).await;
                    return Ok(());
                }
            }
            () = shared.wake.notified() => {
                if let Some(given_up) = shared.state.lock().lost.clone() {
                    return Err(given_up);
                }
            }
            () = tokio::time::sleep_until(wake_at.into()) => on_timer(shared)?,
        }
    }
}

/// Writes and reads until neither goes on. Ready with true at the connection's end.
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
                    "{} closed the connection without a word (end of stream)",
                    shared.label
                ))));
            }
            Poll::Ready(Ok(_)) => {
                debug_assert!(input.len() > before);
                if process(shared, input)? {
                    return Poll::Ready(Ok(true));
                }
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(lost(error))),
            Poll::Pending => {
                // Processing may have written answers after the last write.
                let mut state = shared.state.lock();
                if state.out.is_empty() {
                    return match std::mem::take(&mut state.has_new_timer) {
                        true => Poll::Ready(Ok(false)),
                        false => Poll::Pending,
                    };
                }
                drop(state);
                if write_out(shared, io, cx).map_err(lost)? {
                    return Poll::Pending;
                }
            }
        }
    }
}

/// Writes what is to be written; true when the socket takes no more for now.
fn write_out(shared: &Shared, io: &mut Io, cx: &mut Context<'_>) -> io::Result<bool> {
    let mut state = shared.state.lock();
    while !state.out.is_empty() {
        match io.poll_write(cx, state.out.pending()) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(count)) => state.written(count),
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => return Ok(true),
        }
    }
    drop(state);
    // Also when nothing was written now: TLS keeps what the socket did not take, and
    // writes it only when it is asked again.
    if let Poll::Ready(result) = io.poll_flush(cx) {
        result?;
    }
    Ok(false)
}

/// Takes whole frames from the input. True when the connection ended in good order.
fn process(shared: &Shared, input: &mut BytesMut) -> Result<bool, Error> {
    let mut state = shared.state.lock();
    state.last_received = Instant::now();
    let malformed = |error: crate::wire::DecodeError| {
        Error::connection(format!("{} sent {error}", shared.label))
    };
    while let Some((channel, frame)) = frame::decode(input, MAX_FRAME_SIZE).map_err(malformed)? {
        if state.on_frame(channel, frame).map_err(malformed)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn next_timer(shared: &Shared) -> Instant {
    let mut state = shared.state.lock();
    // While the peer does not read, a heartbeat has to wait like everything else: by the
    // time of the last one the timer would go off again and again.
    let since = match state.out.is_empty() {
        true => state.last_sent,
        false => Instant::now(),
    };
    let heartbeat = since + shared.heartbeat_every();
    let silence = state.last_received + shared.silence_limit();
    let others = [
        state.flush_at,
        state.give_up_at(),
        state.idle_at(),
        state.waited_at,
    ];
    let soonest = heartbeat.min(silence);
    others.into_iter().flatten().fold(soonest, Instant::min)
}

fn on_timer(shared: &Shared) -> Result<(), Error> {
    let now = Instant::now();
    let mut state = shared.state.lock();
    if now >= state.last_received + shared.silence_limit() {
        return Err(Error::connection(format!(
            "{} has been silent for {} s, longer than its heartbeat allows",
            shared.label,
            shared.silence_limit().as_secs()
        )));
    }
    if state.flush_at.is_some_and(|at| now >= at) {
        state
            .flush_all()
            .map_err(|error| Error::connection(error.to_string()))?;
    }
    state
        .return_waited(now)
        .map_err(|error| Error::connection(error.to_string()))?;
    state.give_up_unanswered(now);
    state.close_if_idle(now);
    if now >= state.last_sent + shared.heartbeat_every() && state.out.is_empty() {
        frame::encode_empty(&mut state.out.bytes);
        state.last_sent = now;
    }
    Ok(())
}

/// After the broker's close: our own close still has to go out.
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

    use super::super::handshake::Opened;
    use super::super::{start, Connection, Place, Remote};
    use super::*;
    use crate::base::sync::Mutex;

    /// Takes what is written, and sends it when it is flushed for the second time: a TLS
    /// stream whose socket was full.
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

    /// A peer that says nothing; what is written to it goes to `peer`.
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
        start(
            opened,
            "test".to_owned(),
            Place::default(),
            Duration::from_secs(60),
        )
        .unwrap()
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

    /// A peer that reads nothing, and how often it was tried.
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
        // Two for each heartbeat that is due, and some to begin with.
        assert!((1..50).contains(&tries), "{tries}");
    }
}
