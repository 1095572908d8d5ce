//! The socket of an open connection, with or without TLS. It never blocks, so that any thread may
//! read and write under the connection's lock.
#![allow(unsafe_code)] // Reads into memory that is not initialized, and registers the descriptor.

use std::io::{self, BufRead, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use bytes::BufMut;
use rustls::ClientConnection;
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

use crate::base::fork;

/// The descriptor. It stays open as long as a thread polls it.
#[derive(Debug)]
pub(super) struct Handle {
    /// Before the descriptor, so that it ends before its number can belong to another file.
    _registered: fork::Socket,
    inner: socket2::Socket,
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl AsRawFd for Handle {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl Handle {
    fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        // Without the flag, a broken connection would kill the process by SIGPIPE.
        let flags = libc::MSG_NOSIGNAL;
        retried(|| match parts {
            // The kernel has less to copy and to check.
            [part] => self.inner.send_with_flags(part, flags),
            _ => self.inner.send_vectored_with_flags(parts, flags),
        })
    }

    /// Registers the descriptor with the runtime. One descriptor cannot be registered twice.
    pub fn register(self: &Arc<Self>, interest: Interest) -> io::Result<AsyncFd<Arc<Handle>>> {
        let handle = Arc::clone(self);
        // SAFETY: the descriptor belongs to `inner`, which is never replaced and which the
        // registration keeps open by its share.
        let registered = unsafe { AsyncFd::register_with_interest(handle, interest) };
        registered.map_err(|error| error.into_parts().1)
    }

    /// Ends both directions, even if a forked child still has the socket.
    pub fn shutdown(&self) {
        // The peer may already be gone, and no one is left to tell.
        let _ = self.inner.shutdown(std::net::Shutdown::Both);
    }
}

/// rustls reads and writes its records through this.
impl Read for &Handle {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        retried(|| (&self.inner).read(into))
    }
}

impl Write for &Handle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Calls again after a Unix signal.
fn retried<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Socket {
    handle: Arc<Handle>,
    tls: Option<Box<ClientConnection>>,
}

impl Socket {
    /// A connected socket in non-blocking mode.
    pub fn new(socket: impl Into<OwnedFd>, registered: fork::Socket) -> Self {
        let handle = Handle {
            _registered: registered,
            inner: socket.into().into(),
        };
        Self {
            handle: Arc::new(handle),
            tls: None,
        }
    }

    /// The same after a TLS handshake.
    pub fn with_tls(mut self, tls: ClientConnection) -> Self {
        self.tls = Some(Box::new(tls));
        self
    }

    pub(super) fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    /// Reads into the room that the buffer has, or less of it; zero at the end. Fewer bytes than
    /// its next chunk of room are all that there were.
    ///
    /// # Errors
    /// Those of the socket: `WouldBlock` if there are none. `InvalidData` for TLS that is not.
    pub fn read(&mut self, into: &mut impl BufMut) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => read_tls(tls, &self.handle, into),
            None => {
                // SAFETY: `recv` writes only initialized bytes to it.
                let room = unsafe { into.chunk_mut().as_uninit_slice_mut() };
                let count = retried(|| self.handle.inner.recv(room))?;
                // SAFETY: `recv` has initialized the first `count` bytes of the room.
                unsafe { into.advance_mut(count) };
                Ok(count)
            }
        }
    }

    /// Writes as many bytes as there is room for.
    ///
    /// # Errors
    /// Those of the socket: `WouldBlock` if there is no room.
    pub fn write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.handle.send(parts);
        };
        // rustls takes what its buffer has room for.
        let count = tls.writer().write_vectored(parts)?;
        match count {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(count),
        }
    }

    /// Writes what TLS keeps because the socket had no room. False if it still has none.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn flush(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        while tls.wants_write() {
            match tls.write_tls(&mut &*self.handle) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Whether TLS has decrypted bytes that were not read: the socket does not tell of them.
    pub fn has_decrypted(&mut self) -> bool {
        let tls = self.tls.as_mut();
        tls.is_some_and(|tls| tls.reader().fill_buf().is_ok_and(|bytes| !bytes.is_empty()))
    }

    /// Whether TLS keeps bytes for which the socket had no room.
    pub fn has_kept(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Tells a peer with TLS that nothing follows; [`Socket::flush`] sends it.
    pub fn say_goodbye(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
    }
}

fn read_tls(
    tls: &mut ClientConnection,
    handle: &Handle,
    into: &mut impl BufMut,
) -> io::Result<usize> {
    let most = into.chunk_mut().len();
    let mut total = 0;
    loop {
        match take_plaintext(tls, into, most - total) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // The end is reported once more, by the next call.
            Ok(0) | Err(_) if total > 0 => return Ok(total),
            Ok(count) if count > 0 && total + count < most => {
                total += count;
                continue;
            }
            Ok(count) => return Ok(total + count),
            Err(error) => return Err(error),
        }
        match tls.read_tls(&mut &*handle) {
            // The end: the plaintext's reader says whether it was an orderly one.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && total > 0 => {
                return Ok(total);
            }
            Err(error) => return Err(error),
        }
        if let Err(error) = tls.process_new_packets() {
            // The peer is told by an alert, if there is room for it.
            let _ = tls.write_tls(&mut &*handle);
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
    }
}

fn take_plaintext(
    tls: &mut ClientConnection,
    into: &mut impl BufMut,
    most: usize,
) -> io::Result<usize> {
    let mut reader = tls.reader();
    let plaintext = reader.fill_buf()?;
    let count = plaintext.len().min(most);
    into.put_slice(&plaintext[..count]);
    reader.consume(count);
    Ok(count)
}
