//! Events of connections, for the application's observers and logs.
//!
//! Most happen on the client's own thread or in the middle of a wait, where no code of the
//! application can run. Therefore they are queued, and the application's threads take them (see
//! [`crate::base::threads`]).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::since_1970;
use crate::error::Error;

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
    /// Whether one of the threads that were told of it has claimed it for the process's log.
    pub(crate) is_claimed: Arc<AtomicBool>,
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
            is_claimed: Arc::default(),
        }
    }

    /// True for the first of the threads that were told of it: this one writes it to a log of the
    /// whole process.
    #[must_use]
    pub fn claim(&self) -> bool {
        !self.is_claimed.swap(true, Ordering::Relaxed)
    }
}
