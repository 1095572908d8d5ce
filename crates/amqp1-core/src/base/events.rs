//! Events of connections, for the application's observers and logs.
//!
//! Most happen on the client's own thread or in the middle of a wait, where no code of the
//! application can run. Therefore they are queued, and the application's thread takes them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;
use std::time::Duration;

use crate::base::clock::since_1970;
use crate::base::fork;
use crate::base::sync::Mutex;
use crate::error::Error;

/// The most events that wait. The oldest are dropped first.
const MAX: usize = 1000;

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The client tries to connect.
    Dialling,
    /// It is connected.
    Connected,
    /// It has given up.
    ConnectFailed,
    /// A connection was lost.
    Lost,
    /// The broker accepts no jobs for now.
    Blocked,
    /// It accepts jobs again.
    Unblocked,
    /// The broker refused a link.
    LinkRefused,
    /// The broker ended a link.
    LinkLost,
    /// The broker accepted a new token.
    TokenRenewed,
    /// The broker refused a token.
    TokenRefused,
    /// The lock of a job or a session was renewed.
    LockRenewed,
    /// It was lost.
    LockLost,
    /// The broker has taken jobs back that a worker holds.
    TakenBack,
}

impl EventKind {
    /// The name in PHP.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::Dialling => "dialling",
            EventKind::Connected => "connected",
            EventKind::ConnectFailed => "connect_failed",
            EventKind::Lost => "lost",
            EventKind::Blocked => "blocked",
            EventKind::Unblocked => "unblocked",
            EventKind::LinkRefused => "link_refused",
            EventKind::LinkLost => "link_lost",
            EventKind::TokenRenewed => "token_renewed",
            EventKind::TokenRefused => "token_refused",
            EventKind::LockRenewed => "lock_renewed",
            EventKind::LockLost => "lock_lost",
            EventKind::TakenBack => "taken_back",
        }
    }
}

/// An event.
#[derive(Debug, Clone)]
pub struct Event {
    /// What has happened.
    pub kind: EventKind,
    /// When: Unix time.
    pub at: Duration,
    /// The endpoint, without secrets.
    pub endpoint: String,
    /// The connected host, if the endpoint has several.
    pub host: Option<String>,
    /// `push` or `consume`.
    pub role: Option<&'static str>,
    /// The connection's container-id.
    pub container: Option<String>,
    /// The broker's name of the queue or node, if it concerns one.
    pub queue: Option<String>,
    /// The number of the attempt since the loss or the first one, from 1.
    pub attempt: Option<u32>,
    /// How long something took, or will take.
    pub seconds: Option<Duration>,
    /// The number of jobs.
    pub count: Option<u64>,
    /// Why.
    pub error: Option<Error>,
}

impl Event {
    /// An event of a connection with this label, now.
    #[must_use]
    pub(crate) fn new(kind: EventKind, label: &str) -> Self {
        let (endpoint, host) = match label.split_once(" (at ") {
            Some((endpoint, host)) => (endpoint, Some(host.trim_end_matches(')').to_owned())),
            None => (label, None),
        };
        Self {
            kind,
            at: since_1970(),
            endpoint: endpoint.to_owned(),
            host,
            role: None,
            container: None,
            queue: None,
            attempt: None,
            seconds: None,
            count: None,
            error: None,
        }
    }
}

/// Whether anyone takes events.
static WANTED: AtomicBool = AtomicBool::new(false);
static LISTENER: OnceLock<fn()> = OnceLock::new();

/// The events of this process, by its [`fork::generation`]: a thread that does not exist in a child
/// may have locked its parent's. Nobody forks as deep as there are queues.
static QUEUES: [Mutex<VecDeque<Event>>; 64] = [const { Mutex::new(VecDeque::new()) }; 64];

fn queue() -> &'static Mutex<VecDeque<Event>> {
    &QUEUES[fork::generation() as usize % QUEUES.len()]
}

/// Sets the listener for new events. It is called on any thread and under the client's locks, so it
/// may do no more than set a flag. Later calls are ignored.
pub fn on_event(listener: fn()) {
    let _ = LISTENER.set(listener);
}

/// Says whether anyone takes events. If not, none are kept.
pub fn want_events(wanted: bool) {
    WANTED.store(wanted, Ordering::Relaxed);
    if !wanted {
        queue().lock().clear();
    }
}

/// The events since the last call.
#[must_use]
pub fn take_events() -> VecDeque<Event> {
    std::mem::take(&mut *queue().lock())
}

/// Whether there are events to take.
#[must_use]
pub fn has_events() -> bool {
    !queue().lock().is_empty()
}

/// Queues an event, if anyone takes it.
pub(crate) fn emit(event: impl FnOnce() -> Event) {
    if !WANTED.load(Ordering::Relaxed) {
        return;
    }
    let event = event();
    {
        let mut events = queue().lock();
        if events.len() >= MAX {
            events.pop_front();
        }
        events.push_back(event);
    }
    if let Some(listener) = LISTENER.get() {
        listener();
    }
}
