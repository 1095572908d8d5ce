//! The state that PHP's threads and a connection's driver share.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use crate::base::sync::Mutex;
use crate::connection::protocol::Protocol;

pub(crate) struct Shared {
    wired: Mutex<Wired>,
    /// Tells the driver that there is output or a new timer.
    pub wake: Notify,
    /// The endpoint, without secrets.
    pub label: String,
}

impl Shared {
    /// `tcp` is the write half of a plain TCP connection.
    pub fn new(protocol: Protocol, tcp: Option<Arc<OwnedWriteHalf>>, label: String) -> Self {
        Self {
            wired: Mutex::new(Wired { protocol, tcp }),
            wake: Notify::new(),
            label,
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Wired> {
        self.wired.lock()
    }
}

/// The protocol, and the socket that any thread may write to, under one lock.
#[derive(Debug)]
pub(crate) struct Wired {
    protocol: Protocol,
    /// The plain TCP connection, while the driver lives.
    tcp: Option<Arc<OwnedWriteHalf>>,
}

impl Wired {
    /// Writes as much output as the socket accepts at once.
    pub fn write_now(&mut self) {
        while !self.protocol.poll_output().is_empty() {
            let (Some(tcp), None) = (&self.tcp, self.protocol.lost()) else {
                return;
            };
            // Full or broken: the driver waits for room or reports the error.
            let Ok(count) = tcp.try_write(self.protocol.poll_output()) else {
                return;
            };
            self.protocol.handle_written(count, Instant::now());
        }
    }

    /// Forgets the socket, which is about to be closed.
    pub fn let_go_of_socket(&mut self) {
        self.tcp = None;
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
