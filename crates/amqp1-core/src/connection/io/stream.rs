//! The socket of a connection: plain TCP, or any other kind of stream.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

/// The number of bytes to read at a time.
const READ_SIZE: usize = 64 * 1024;

/// Any stream that is not plain TCP: TLS, or the pipe to the embedded broker.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The socket. The write half of plain TCP is shared, so that PHP's thread can write to it
/// directly.
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

    /// The write half of plain TCP.
    pub fn writer(&self) -> Option<Arc<OwnedWriteHalf>> {
        match self {
            Io::Tcp(_, tcp) => Some(Arc::clone(tcp)),
            Io::Other(_) => None,
        }
    }

    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
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

    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Io::Tcp(..) => Poll::Ready(Ok(())),
            Io::Other(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Reads the available bytes into the buffer's spare room; `Ok(0)` at the end.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        into.reserve(READ_SIZE);
        match self {
            Io::Tcp(read, _) => poll_read_buf(Pin::new(read), cx, into),
            Io::Other(stream) => poll_read_buf(Pin::new(stream), cx, into),
        }
    }

    pub async fn shutdown(&mut self) {
        // The peer may already be gone, and no one is left to tell.
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

/// Ends both directions, even if a forked child still holds the socket.
fn shutdown_both(tcp: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(tcp).shutdown(std::net::Shutdown::Both)
}
