//! A connection as the rest of the client holds it: its start, its life, its end.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use super::io::order::{Host, Order};
use super::io::shared::{Shared, Wired};
use super::io::{dial as dialling, driver, handshake};
use super::protocol::remote::Remote;
use super::protocol::sessions::LinkKey;
use super::protocol::Protocol;
use crate::base::fork;
use crate::base::wait::{Signal, Wait};
use crate::error::{Error, Result};
use crate::settings::endpoint::Endpoint;

/// Sessions of a connection that are no link's: of management, of questions, and ended ones
/// that the broker has not answered.
const RESERVED: usize = 8;

/// A connection to a broker, open or lost. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connection {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    remote: Remote,
    /// Where it leads, of an endpoint's several hosts.
    host: Host,
    /// The process that it belongs to.
    generation: u64,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("label", &self.label())
            .finish_non_exhaustive()
    }
}

/// Dials the endpoint's hosts, in this order, until one opens.
///
/// # Errors
/// The last host's error, with the others' before it.
pub(crate) async fn dial(
    endpoint: &Arc<Endpoint>,
    role: &str,
    order: &Order,
    timeout: Duration,
) -> Result<Connection> {
    let (opened, label, host) = dialling::dial(endpoint, role, order, timeout).await?;
    Ok(Connection::start(opened, label, host, endpoint.heartbeat))
}

impl Connection {
    /// Starts the driver of a connection whose `open` is done.
    pub(super) fn start(
        opened: handshake::Opened,
        label: String,
        host: Host,
        heartbeat: Duration,
    ) -> Self {
        let remote = opened.remote;
        let protocol = Protocol::new(&label, &remote, heartbeat, Instant::now());
        let shared = Arc::new(Shared::new(protocol, opened.io.writer(), label));
        let (socket, input) = (opened.socket, opened.input);
        tokio::spawn(driver::drive(Arc::clone(&shared), opened.io, input, socket));
        Self::over(shared, remote, host)
    }

    /// One that something else drives.
    pub(super) fn over(shared: Arc<Shared>, remote: Remote, host: Host) -> Self {
        Self {
            inner: Arc::new(Inner {
                shared,
                remote,
                host,
                generation: fork::generation(),
            }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Wired> {
        self.inner.shared.lock()
    }

    /// What the broker said of itself.
    pub fn remote(&self) -> &Remote {
        &self.inner.remote
    }

    /// The endpoint it leads to, without secrets.
    pub fn label(&self) -> &str {
        &self.inner.shared.label
    }

    /// Why the connection is over, if it is.
    pub fn lost(&self) -> Option<Error> {
        let protocol = self.lock();
        match protocol.lost() {
            None if protocol.is_closing() => Some(Error::connection("the connection is closing")),
            lost => lost.cloned(),
        }
    }

    /// Which of the endpoint's hosts it leads to.
    pub fn host(&self) -> Host {
        self.inner.host
    }

    /// Sessions in use.
    pub fn session_count(&self) -> usize {
        self.lock().session_count()
    }

    /// There is room for one more link besides what a connection needs sessions for itself.
    pub fn has_room(&self) -> bool {
        let sessions = self.remote().sessions();
        let protocol = self.lock();
        let is_open = protocol.lost().is_none() && !protocol.is_closing();
        is_open && protocol.session_count() + RESERVED.min(sessions / 4) < sessions
    }

    /// Closed when it has had no session for so long.
    pub fn close_when_idle(&self, after: Duration) {
        let mut protocol = self.lock();
        protocol.close_when_idle(after, Instant::now());
        self.kick(protocol);
    }

    /// Closed because it had no sessions.
    pub fn was_idle(&self) -> bool {
        self.lock().was_idle()
    }

    /// Made by this process. A parent's connection may be locked for ever in its
    /// child, and its socket's number may be another file's here.
    pub fn is_ours(&self) -> bool {
        self.inner.generation == fork::generation()
    }

    /// The same connection, and not another to the same broker.
    pub fn is(&self, other: &Connection) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Writes what is to be written: at once from this thread where the socket
    /// allows it, otherwise by the driver.
    pub(super) fn kick(&self, mut protocol: MutexGuard<'_, Wired>) {
        protocol.write_now();
        let more = protocol.poll_new_timer() || !protocol.poll_output().is_empty();
        drop(protocol);
        if more {
            self.inner.shared.wake.notify_one();
        }
    }

    /// Lets written frames and gathered settlements go out within milliseconds,
    /// together with what comes until then.
    pub(super) fn kick_soon(&self, mut protocol: MutexGuard<'_, Wired>) {
        // The time is asked for once in a while, not once a job.
        if protocol.is_gathering() {
            return;
        }
        protocol.gather(Instant::now());
        let tell = protocol.poll_new_timer();
        drop(protocol);
        if tell {
            self.inner.shared.wake.notify_one();
        }
    }

    /// Ends a session with its links; nothing in a process that only has a copy of the connection.
    pub(super) fn end_session(&self, key: LinkKey) {
        if !self.is_ours() {
            return;
        }
        let mut protocol = self.lock();
        protocol.end_session(key);
        self.kick(protocol);
    }

    /// Starts ending links and sessions.
    pub fn begin_end(&self) {
        let mut protocol = self.lock();
        if protocol.lost().is_none() && !protocol.is_closing() {
            let _ = protocol.end_sessions();
        }
        self.kick(protocol);
    }

    /// Raised when it is over, and when its last session is.
    pub(super) fn signal(&self) -> Signal {
        self.lock().signal().clone()
    }

    /// Waits until the broker has answered the end of each session: what was settled
    /// is settled by then. RabbitMQ 3 may forget it when the close comes too soon.
    pub fn await_ends(&self, wait: &Wait<'_>) {
        let _ = wait.until(&self.signal(), || {
            let protocol = self.lock();
            let is_over = protocol.lost().is_some() || !protocol.has_sessions();
            Ok(is_over.then_some(()))
        });
    }

    /// Starts closing without waiting for the broker's answer.
    pub fn begin_close(&self) {
        let mut protocol = self.lock();
        // What cannot be written cannot be said; the socket is closed all the same.
        let _ = protocol.close();
        self.kick(protocol);
    }

    /// Closes links, sessions and connection in good order, waiting for the
    /// broker's answer as long as `wait` allows.
    pub fn close(&self, wait: &Wait<'_>) {
        self.begin_close();
        let gone = wait.until(&self.signal(), || Ok(self.lock().lost().map(|_| ())));
        if !matches!(gone, Ok(Some(()))) {
            let label = self.label();
            self.break_off(&Error::connection(format!(
                "the connection to {label} was closed"
            )));
        }
    }

    /// Ends it at once, as if it had broken.
    pub(super) fn break_off(&self, error: &Error) {
        self.lock().handle_lost(error);
        self.inner.shared.wake.notify_one();
    }
}
