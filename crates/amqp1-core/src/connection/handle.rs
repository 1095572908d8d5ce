//! The handle of a connection for the rest of the client: its start, its life, its end.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use super::io::order::{Host, Order};
use super::io::shared::{Shared, Wired};
use super::io::{dial as dialling, driver, handshake};
use super::protocol::remote::Remote;
use super::protocol::sessions::LinkKey;
use super::protocol::Protocol;
use crate::base::counters::Counters;
use crate::base::fork;
use crate::base::wait::{Signal, Wait};
use crate::error::{Error, Result};
use crate::settings::endpoint::Endpoint;

/// Sessions that are not available for links: for management, for questions, and ended ones that
/// the broker has not answered.
const RESERVED: usize = 8;

/// A connection to a broker, open or lost. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connection {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    remote: Remote,
    /// Which of the endpoint's hosts it is connected to.
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

/// Tries the endpoint's hosts, in this order, until one opens.
///
/// # Errors
/// The last host's error, preceded by the others'.
pub(crate) async fn dial(
    endpoint: &Arc<Endpoint>,
    role: &'static str,
    order: &Order,
    timeout: Duration,
) -> Result<Connection> {
    let (opened, names, host) = dialling::dial(endpoint, role, order, timeout).await?;
    let purpose = (host, role);
    Ok(Connection::start(
        opened,
        names,
        purpose,
        endpoint.heartbeat,
    ))
}

impl Connection {
    /// Starts the driver of a connection after the exchange of `open`.
    pub(super) fn start(
        opened: handshake::Opened,
        names: dialling::Label,
        (host, role): (Host, &'static str),
        heartbeat: Duration,
    ) -> Self {
        let remote = opened.remote;
        let dialling::Label {
            label,
            container_id,
        } = names;
        let mut protocol = Protocol::new(&label, &remote, heartbeat, Instant::now());
        protocol.role = role;
        protocol.container_id = container_id;
        let shared = Shared::new(protocol, Some(opened.socket), opened.input, label);
        let shared = Arc::new(shared);
        tokio::spawn(driver::drive(Arc::clone(&shared)));
        Self::over(shared, remote, host)
    }

    /// A connection without a driver, for callers that drive it themselves.
    pub(super) fn over(shared: Arc<Shared>, remote: Remote, host: Host) -> Self {
        shared.lock().signal().comes_from(&shared);
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

    /// The broker's description of itself.
    pub fn remote(&self) -> &Remote {
        &self.inner.remote
    }

    /// The label of the endpoint, without secrets.
    pub fn label(&self) -> &str {
        &self.inner.shared.label
    }

    /// The error that ended the connection, if it has ended.
    pub fn lost(&self) -> Option<Error> {
        let protocol = self.lock();
        match protocol.lost() {
            None if protocol.is_closing() => Some(Error::connection("the connection is closing")),
            lost => lost.cloned(),
        }
    }

    /// The container-id that it was opened with.
    pub fn container_id(&self) -> String {
        self.lock().container_id.clone()
    }

    /// Which of the endpoint's hosts it is connected to.
    pub fn host(&self) -> Host {
        self.inner.host
    }

    /// The deliveries that wait, by the counters of their queue.
    pub fn buffered(&self) -> Vec<(&'static Counters, u64)> {
        self.lock().buffered()
    }

    /// The number of sessions in use.
    pub fn session_count(&self) -> usize {
        self.lock().session_count()
    }

    /// Whether there is room for another link, beside the sessions that the connection itself
    /// needs.
    pub fn has_room(&self) -> bool {
        let protocol = self.lock();
        let is_open = protocol.lost().is_none() && !protocol.is_closing();
        is_open && self.has_room_in(&protocol)
    }

    /// [`Connection::has_room`] of an open connection, for who has locked it.
    pub(super) fn has_room_in(&self, protocol: &Protocol) -> bool {
        let sessions = self.remote().sessions();
        protocol.session_count() + RESERVED.min(sessions / 4) < sessions
    }

    /// Closes it once it has had no session for this long.
    pub fn close_when_idle(&self, after: Duration) {
        let mut protocol = self.lock();
        protocol.close_when_idle(after, Instant::now());
        self.kick(protocol);
    }

    /// Whether it was closed because it had no sessions.
    pub fn was_idle(&self) -> bool {
        self.lock().was_idle()
    }

    /// Whether this process opened it. In a child, a parent's connection may be locked for ever,
    /// and its socket's number may belong to another file.
    pub fn is_ours(&self) -> bool {
        self.inner.generation == fork::generation()
    }

    /// Whether both are the same connection, and not just connections to the same broker.
    pub fn is(&self, other: &Connection) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Sends the output: at once from this thread if the socket accepts it, otherwise by the
    /// driver.
    pub(super) fn kick(&self, protocol: MutexGuard<'_, Wired>) {
        self.inner.shared.kick(protocol);
    }

    /// Sends written frames and gathered settlements within milliseconds, together with any that
    /// follow until then.
    pub(super) fn kick_soon(&self, mut protocol: MutexGuard<'_, Wired>) {
        // Reads the clock only occasionally, not for every job.
        if protocol.is_gathering() {
            return;
        }
        protocol.gather(Instant::now());
        self.inner.shared.kick_timer(protocol);
    }

    /// Lets a thread that waits for `signal` read this connection.
    pub(super) fn raises(&self, signal: &Signal) {
        signal.comes_from(&self.inner.shared);
    }

    /// Ends a session with its links. Does nothing in a forked child.
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

    /// Raised when the connection ends, and when its last session ends.
    pub(super) fn signal(&self) -> Signal {
        self.lock().signal().clone()
    }

    /// Waits until the broker has answered the end of each session, so that all settlements have
    /// been processed. RabbitMQ 3 may lose them if the close follows too soon.
    pub fn await_ends(&self, wait: &Wait<'_>) {
        let _ = wait.until(&self.signal(), || {
            let protocol = self.lock();
            let is_over = protocol.lost().is_some() || !protocol.has_sessions();
            Ok(is_over.then_some(()))
        });
    }

    /// Starts closing, without waiting for the broker's answer.
    pub fn begin_close(&self) {
        let mut protocol = self.lock();
        // An encoding error is ignored, because the socket is closed anyway.
        let _ = protocol.close();
        self.kick(protocol);
    }

    /// Closes links, sessions and connection in an orderly way. Waits for the broker's answer as
    /// long as `wait` allows.
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

    /// Ends it at once, as if the connection had broken.
    pub(super) fn break_off(&self, error: &Error) {
        self.lock().handle_lost(error);
        self.inner.shared.wake.notify_one();
    }
}
