//! A connection: protocol state that PHP's thread works on directly, and a
//! task on the runtime that moves its bytes.
//!
//! Why not fe2o3-amqp's own connection: it moves every frame through channels
//! between three tasks and flushes each one (measured at 4–6 µs a message before
//! any work of ours), hides the end-of-stream cause, resets credit on a flow
//! that crosses messages, and discards the settlement outcome that a
//! second-mode receiver waits for. Its codec and types are used for all that is
//! not exchanged once a job.

mod channels;
mod condition;
pub(crate) mod dial;
mod driver;
mod embedded;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod handshake;
mod link;
mod options;
mod output;
mod pair;
mod patience;
mod race;
mod receiver;
mod scout;
mod sender;
mod session;
mod state;
mod terminus;
pub(crate) mod tls;
mod tls_error;
mod tracker;
mod watch;

pub(crate) use condition::{all_in_use, kind as condition_kind, lasts, ALL_IN_USE};
pub(crate) use link::{ReceiverLink, SenderLink};
pub(crate) use options::{ReceiverOptions, Settling};
pub(crate) use pair::{probe, LinkPair, Node};
pub(crate) use patience::PATIENCE;
pub(crate) use race::{Order, Place, Rank};
pub(crate) use receiver::Incoming;
pub(crate) use scout::{Question, Scout};
pub(crate) use terminus::Ask;
pub(crate) use tracker::{Outcome, Tracked, Tracker};
pub(crate) use watch::Watch;

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

use self::state::{LinkKey, State};
use crate::base::fork;
use crate::base::sync::Mutex;
use crate::base::wait::Wait;
use crate::error::{Error, Result};

/// Sessions of a connection that are no link's: of management, of questions, and ended ones
/// that the broker has not answered.
const RESERVED: usize = 8;

/// What the broker said of itself in `open`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Remote {
    pub container_id: String,
    pub product: String,
    pub version: String,
    pub capabilities: Vec<String>,
    pub max_frame_size: u32,
    pub channel_max: u16,
    pub idle_time_out: Option<Duration>,
}

impl Remote {
    /// Sessions that a connection may have at once.
    pub fn sessions(&self) -> usize {
        usize::from(self.channel_max) + 1
    }

    pub fn offers(&self, capability: &str) -> bool {
        self.capabilities
            .iter()
            .any(|offered| offered == capability)
    }
}

pub(crate) struct Shared {
    pub state: Mutex<State>,
    /// Tells the driver that there is something to write or a new timer.
    pub wake: Notify,
    pub label: String,
    pub remote: Remote,
    /// Where it leads, of an endpoint's several hosts.
    place: Place,
    /// The idle time-out that we announced.
    heartbeat: Duration,
    /// The process that it belongs to.
    generation: u64,
}

impl Shared {
    /// Sent when nothing else was for so long: well within the broker's limit,
    /// which some brokers take by the letter.
    fn heartbeat_every(&self) -> Duration {
        let limit = self
            .remote
            .idle_time_out
            .unwrap_or(Duration::from_secs(3600));
        (limit / 3).max(Duration::from_millis(100))
    }

    /// A broker that is silent for longer is gone. It was told to speak within
    /// `heartbeat`; brokers send at half of it, and the margin is for pauses.
    fn silence_limit(&self) -> Duration {
        self.heartbeat + self.heartbeat / 2
    }
}

/// A connection to a broker, open or lost. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("label", &self.shared.label)
            .finish_non_exhaustive()
    }
}

impl Connection {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock()
    }

    /// What the broker said of itself.
    pub fn remote(&self) -> &Remote {
        &self.shared.remote
    }

    /// The endpoint it leads to, without secrets.
    pub fn label(&self) -> &str {
        &self.shared.label
    }

    /// Why the connection is over, if it is.
    pub fn lost(&self) -> Option<Error> {
        let state = self.lock();
        match &state.lost {
            None if state.closing => Some(Error::connection("the connection is closing")),
            lost => lost.clone(),
        }
    }

    /// Which of the endpoint's hosts it leads to.
    pub fn place(&self) -> Place {
        self.shared.place
    }

    /// Sessions in use.
    pub fn session_count(&self) -> usize {
        self.lock().session_count()
    }

    /// There is room for one more link besides what a connection needs sessions for itself.
    pub fn has_room(&self) -> bool {
        let sessions = self.remote().sessions();
        let state = self.lock();
        let is_open = state.lost.is_none() && !state.closing;
        is_open && state.session_count() + RESERVED.min(sessions / 4) < sessions
    }

    /// Closed when it has had no session for so long.
    pub fn close_when_idle(&self, after: Duration) {
        let mut state = self.lock();
        state.close_when_idle(after);
        self.kick(state);
    }

    /// Closed because it had no sessions.
    pub fn was_idle(&self) -> bool {
        self.lock().was_idle
    }

    /// Made by this process. A parent's connection may be locked for ever in its
    /// child, and its socket's number may be another file's here.
    pub fn is_ours(&self) -> bool {
        self.shared.generation == fork::generation()
    }

    /// The same connection, and not another to the same broker.
    pub fn is(&self, other: &Connection) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Writes what is to be written: at once from this thread where the socket
    /// allows it, otherwise by the driver.
    fn kick(&self, mut state: MutexGuard<'_, State>) {
        state.write_now();
        let more = !state.out.is_empty() || std::mem::take(&mut state.has_new_timer);
        drop(state);
        if more {
            self.shared.wake.notify_one();
        }
    }

    /// Lets written frames and gathered settlements go out within milliseconds,
    /// together with what comes until then.
    fn kick_soon(&self, mut state: MutexGuard<'_, State>) {
        let tell = state.flush_soon();
        drop(state);
        if tell {
            self.shared.wake.notify_one();
        }
    }

    /// Ends a session with its links; nothing in a process that only has a copy of the connection.
    fn end_session(&self, key: LinkKey) {
        if !self.is_ours() {
            return;
        }
        let mut state = self.lock();
        state.end_session(key);
        self.kick(state);
    }

    /// Starts ending links and sessions.
    pub fn begin_end(&self) {
        let mut state = self.lock();
        if state.lost.is_none() && !state.closing {
            let _ = state.end_sessions();
        }
        self.kick(state);
    }

    /// Waits until the broker has answered the end of each session: what was settled
    /// is settled by then. RabbitMQ 3 may forget it when the close comes too soon.
    pub fn await_ends(&self, wait: &Wait<'_>) {
        let signal = self.lock().signal.clone();
        let _ = wait.until(&signal, || {
            let state = self.lock();
            Ok((state.lost.is_some() || !state.has_sessions()).then_some(()))
        });
    }

    /// Starts closing without waiting for the broker's answer.
    pub fn begin_close(&self) {
        let mut state = self.lock();
        // What cannot be written cannot be said; the socket is closed all the same.
        let _ = state.close();
        self.kick(state);
    }

    /// Closes links, sessions and connection in good order, waiting for the
    /// broker's answer as long as `wait` allows.
    pub fn close(&self, wait: &Wait<'_>) {
        self.begin_close();
        let signal = self.lock().signal.clone();
        let gone = wait.until(&signal, || Ok(self.lock().lost.as_ref().map(|_| ())));
        if !matches!(gone, Ok(Some(()))) {
            let label = self.label();
            let error = Error::connection(format!("the connection to {label} was closed"));
            self.lock().fail(&error);
        }
    }
}

/// Starts the driver of a connection whose `open` is done.
pub(crate) fn start(
    opened: handshake::Opened,
    label: String,
    place: Place,
    heartbeat: Duration,
) -> Result<Connection> {
    let remote = opened.remote;
    let mut state = State::new(&label, remote.max_frame_size, remote.channel_max);
    if let driver::Io::Tcp(_, tcp) = &opened.io {
        state.tcp = Some(Arc::clone(tcp));
    }
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        wake: Notify::new(),
        label,
        remote,
        place,
        heartbeat,
        generation: fork::generation(),
    });
    let (socket, input) = (opened.socket, opened.input);
    tokio::spawn(driver::drive(Arc::clone(&shared), opened.io, input, socket));
    Ok(Connection { shared })
}
