//! The state that PHP's threads and a connection's driver share.

use std::io::{self, IoSlice};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use bytes::{BufMut, BytesMut};
use tokio::sync::Notify;

use super::role::Role;
use super::socket::{Handle, Socket};
use crate::base::signal::{Polled, Source};
use crate::base::sync::Mutex;
use crate::connection::protocol::{internal, Protocol};
use crate::error::Error;

/// The most bytes to read before the lock is given to others.
const READ_MOST: usize = 1024 * 1024;

/// The same for a caller that waits. More than it waits for would only occupy memory.
const READ_AWAITED: usize = 256 * 1024;

/// The number of bytes to read at a time.
const READ_SIZE: usize = 64 * 1024;

/// The same behind a long frame: the bytes of the next one should go to their message at once.
const READ_BEHIND: usize = 4 * 1024;

/// The most parts of the output that are written at once.
const PARTS: usize = 64;

pub(crate) struct Shared {
    wired: Mutex<Wired>,
    /// Tells the driver that there is output, a new timer, or an end.
    pub wake: Notify,
    /// The endpoint, without secrets.
    pub label: String,
}

impl Shared {
    /// `input` has arrived together with the broker's open. Without a socket, someone else moves
    /// the bytes.
    pub fn new(protocol: Protocol, socket: Option<Socket>, input: BytesMut, label: String) -> Self {
        Self {
            wired: Mutex::new(Wired {
                protocol,
                socket,
                input,
                was_placed: false,
                role: Role::default(),
                end: None,
                label: label.clone(),
            }),
            wake: Notify::new(),
            label,
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Wired> {
        self.wired.lock()
    }

    /// Sends the output: at once from this thread if the socket accepts it, otherwise by the
    /// driver.
    pub fn kick(&self, mut wired: MutexGuard<'_, Wired>) {
        wired.write_now();
        let is_due = wired.poll_new_timer() || !wired.poll_output().is_empty();
        let tell = wired.end.is_some() || (is_due && !wired.role.is_ticking());
        drop(wired);
        if tell {
            self.wake.notify_one();
        }
    }

    /// Tells the driver of a new timer, unless it looks by itself.
    pub fn kick_timer(&self, mut wired: MutexGuard<'_, Wired>) {
        let tell = wired.poll_new_timer() && !wired.role.is_ticking();
        drop(wired);
        if tell {
            self.wake.notify_one();
        }
    }
}

/// PHP's thread, while it waits.
impl Source for Shared {
    fn enter(&self) -> Option<Polled> {
        let mut wired = self.lock();
        let descriptor = Arc::clone(wired.handle()?);
        if wired.is_gathering() {
            if let Err(error) = wired.flush_idle(Instant::now()) {
                wired.end_with(internal(error));
            }
        }
        wired.role.enter();
        wired.write_now();
        let wants_room = wired.wants_room();
        self.kick(wired);
        Some(Polled {
            descriptor,
            wants_room,
        })
    }

    fn advance(&self) {
        let mut wired = self.lock();
        wired.read(READ_AWAITED);
        self.kick(wired);
    }

    fn leave(&self) {
        self.lock().role.leave();
    }
}

/// The protocol and the socket, which any thread may read and write, under one lock.
#[derive(Debug)]
pub(crate) struct Wired {
    protocol: Protocol,
    /// While the driver lives.
    socket: Option<Socket>,
    /// Bytes that were read: the beginning of a frame.
    input: BytesMut,
    /// Whether the last bytes were read to where they belong in a message.
    was_placed: bool,
    pub(super) role: Role,
    /// How the connection has ended; the driver clears up.
    end: Option<Result<(), Error>>,
    label: String,
}

impl Wired {
    /// The socket's descriptor, while the connection is open.
    pub(super) fn handle(&self) -> Option<&Arc<Handle>> {
        match (&self.socket, &self.end) {
            (Some(socket), None) => Some(socket.handle()),
            _ => None,
        }
    }

    /// The socket's descriptor, even if the connection has ended.
    pub(super) fn open_handle(&self) -> Option<&Arc<Handle>> {
        self.socket.as_ref().map(Socket::handle)
    }

    /// How the connection has ended, if it has.
    pub(super) fn ended(&self) -> Option<Result<(), Error>> {
        match (&self.end, self.lost()) {
            (Some(end), _) => Some(end.clone()),
            (None, lost) => lost.map(|error| Err(error.clone())),
        }
    }

    pub(super) fn end_with(&mut self, error: Error) {
        self.protocol.handle_lost(&error);
        self.end.get_or_insert(Err(error));
    }

    /// Handles bytes that have arrived. False if the connection has ended.
    pub(super) fn handle_now(&mut self) -> bool {
        let handled = self.protocol.handle_input(&mut self.input, Instant::now());
        self.note(handled)
    }

    fn note(&mut self, handled: Result<bool, Error>) -> bool {
        match handled {
            Ok(false) => return true,
            Ok(true) => self.end = Some(Ok(())),
            Err(error) => self.end_with(error),
        }
        false
    }

    /// Reads and handles what has arrived. False if more may be there.
    pub(super) fn read_now(&mut self) -> bool {
        self.read(READ_MOST)
    }

    /// [`Wired::read_now`] until about `most` bytes are read.
    fn read(&mut self, most: usize) -> bool {
        let mut total = 0;
        // Nobody would be woken for what is already decrypted.
        while total < most || self.socket.as_mut().is_some_and(Socket::has_decrypted) {
            let Some(socket) = self.socket.as_mut().filter(|_| self.end.is_none()) else {
                return true;
            };
            let before = self.was_placed;
            let (room, read) = match self.protocol.poll_room() {
                Some(mut message) => {
                    self.was_placed = true;
                    (message.remaining_mut(), socket.read(&mut message))
                }
                None => {
                    self.was_placed = false;
                    let room = if before { READ_BEHIND } else { READ_SIZE };
                    self.input.reserve(room);
                    (room, socket.read(&mut (&mut self.input).limit(room)))
                }
            };
            match read {
                Ok(0) => {
                    let label = &self.label;
                    self.end_with(Error::connection(format!(
                        "{label} closed the connection without giving a reason (end of stream)"
                    )));
                    return true;
                }
                Ok(count) => {
                    let handled = match self.was_placed {
                        true => self
                            .protocol
                            .handle_placed(count, Instant::now())
                            .map(|()| false),
                        false => self.protocol.handle_input(&mut self.input, Instant::now()),
                    };
                    if !self.note(handled) || count < room {
                        return true;
                    }
                    total += count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) => {
                    self.broke(&error);
                    return true;
                }
            }
        }
        false
    }

    /// Writes as much output as the socket accepts at once.
    pub fn write_now(&mut self) {
        if !self.wants_room() || self.protocol.lost().is_some() || self.end.is_some() {
            return;
        }
        if let Err(error) = self.write_out() {
            // The broker may have given a reason before it closed the connection.
            self.read_now();
            if self.end.is_none() {
                self.broke(&error);
            }
        }
    }

    /// Writes as much output as the socket accepts, even if the connection has ended. False if
    /// something is left.
    pub(super) fn write_out(&mut self) -> io::Result<bool> {
        loop {
            let Some(socket) = &mut self.socket else {
                return Ok(false);
            };
            // Needed even if nothing is written now: TLS keeps the bytes that the socket did not
            // accept.
            if !socket.flush()? {
                return Ok(false);
            }
            let output = self.protocol.poll_output();
            if output.is_empty() {
                return Ok(true);
            }
            let written = match output.only() {
                Some(bytes) => socket.write(&[IoSlice::new(bytes)]),
                None => {
                    let mut parts = [IoSlice::new(&[]); PARTS];
                    let count = output.slices(&mut parts);
                    socket.write(&parts[..count])
                }
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.protocol.handle_written(count, Instant::now()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether output waits for the socket.
    pub(super) fn wants_room(&self) -> bool {
        let kept = self.socket.as_ref().is_some_and(Socket::has_kept);
        kept || !self.protocol.poll_output().is_empty()
    }

    /// Writes as much as the socket accepts. True if it will accept more later.
    pub fn write_waits(&mut self) -> bool {
        self.write_now();
        self.end.is_none() && self.lost().is_none() && self.wants_room()
    }

    fn broke(&mut self, error: &io::Error) {
        let label = &self.label;
        self.end_with(Error::connection(format!(
            "the connection to {label} broke: {error}"
        )));
    }

    /// Takes the socket, which is about to be closed.
    pub(super) fn take_socket(&mut self) -> Option<Socket> {
        self.socket.take()
    }
}

impl Deref for Wired {
    type Target = Protocol;

    fn deref(&self) -> &Protocol {
        &self.protocol
    }
}

impl DerefMut for Wired {
    fn deref_mut(&mut self) -> &mut Protocol {
        &mut self.protocol
    }
}
