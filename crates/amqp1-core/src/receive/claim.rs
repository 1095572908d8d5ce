//! The session that a consumer requests, holds, and releases.
//!
//! The broker delays its answer to an attach until there is a session. Therefore no call waits for
//! that answer alone; it is checked together with the other queues.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::sync::Mutex;
use crate::brokers::seams::companion::holding::{NoSession, SessionWish};
use crate::error::{Error, ErrorKind};
use crate::receive::attachment::link::SharedLink;
use crate::settings::options::SessionOption;

/// The pause before a session is requested again that another consumer holds, or that was refused
/// for a temporary reason.
const PAUSE: Duration = Duration::from_secs(1);

/// After this long without a job, a session is released for the next free one.
const IDLE: Duration = Duration::from_secs(1);

/// The sessions of one queue of a consumer.
#[derive(Debug)]
pub(super) struct Claim {
    option: SessionOption,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requested, but not answered yet.
    asked: Option<Arc<SharedLink>>,
    last_job: Instant,
    /// Until when the session is not requested, because another consumer holds it.
    rests_until: Option<Instant>,
    /// Whether the current call does not wait.
    polls: bool,
    /// Whether the broker told a call that does not wait that no session has jobs.
    has_none: bool,
    /// Whether another token was sent since the last session, because the broker found one expired.
    renewed: bool,
}

/// The result of an attach.
pub(super) enum Answer {
    None,
    Taken(Arc<SharedLink>),
    Refused(Error),
}

impl Claim {
    pub fn new(option: SessionOption) -> Self {
        Self {
            option,
            state: Mutex::new(State {
                asked: None,
                last_job: Instant::now(),
                rests_until: None,
                polls: false,
                has_none: false,
                renewed: false,
            }),
        }
    }

    /// The id of the requested session; `None` for the next free one.
    pub fn id(&self) -> Option<&str> {
        match &self.option {
            SessionOption::Next => None,
            SessionOption::Id(id) => Some(id),
        }
    }

    /// The session to request from the broker.
    pub fn wish(&self) -> SessionWish<'_> {
        SessionWish {
            id: self.id(),
            polls: self.state.lock().polls,
        }
    }

    /// Begins a call, which either polls or waits.
    pub fn begin(&self, polls: bool) {
        let mut state = self.state.lock();
        state.polls = polls;
        state.has_none = false;
    }

    /// Whether the broker was asked in this call, which does not wait, and had no session with
    /// jobs.
    pub fn has_none(&self) -> bool {
        self.state.lock().has_none
    }

    /// Whether the current session turned out to be empty, and another one may be requested.
    pub fn may_change(&self, held: u32) -> bool {
        self.option == SessionOption::Next && held == 0
    }

    /// Records that a session is requested.
    pub fn ask(&self, link: Arc<SharedLink>) {
        let mut state = self.state.lock();
        state.rests_until = None;
        state.asked = Some(link);
    }

    /// Whether a requested session is still unanswered.
    pub fn is_asking(&self) -> bool {
        self.state.lock().asked.is_some()
    }

    /// Until when it may not be requested.
    pub fn rests_until(&self) -> Option<Instant> {
        let until = self.state.lock().rests_until;
        until.filter(|until| *until > Instant::now())
    }

    /// The answer, if it has arrived.
    pub fn answer(&self) -> Answer {
        let mut state = self.state.lock();
        let Some(link) = &state.asked else {
            return Answer::None;
        };
        match link.attached() {
            Ok(false) => Answer::None,
            Ok(true) => {
                state.last_job = Instant::now();
                state.renewed = false;
                match state.asked.take() {
                    Some(link) => Answer::Taken(link),
                    None => Answer::None,
                }
            }
            Err(error) => {
                let why = match &link.holding {
                    Some(holding) => holding.explain_no_session(&error),
                    None => NoSession::Refused,
                };
                state.asked = None;
                Answer::Refused(state.refused(error, why))
            }
        }
    }

    /// True once per session: whether another token is worth a try.
    pub fn may_renew(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().renewed, true)
    }

    /// Withdraws the request: a session granted later would only be kept from others.
    pub fn give_up(&self) {
        if let Some(link) = self.state.lock().asked.take() {
            link.close();
        }
    }

    /// Records that a job of the session was handed out.
    pub fn note_job(&self) {
        self.state.lock().last_job = Instant::now();
    }

    /// When a session without jobs is released for the next one.
    pub fn idle_at(&self, held: u32) -> Option<Instant> {
        self.may_change(held)
            .then(|| self.state.lock().last_job + IDLE)
    }
}

impl State {
    /// A temporary refusal becomes a connection error, so that the session is requested again.
    fn refused(&mut self, error: Error, why: NoSession) -> Error {
        match why {
            NoSession::NoneHasJobs => self.has_none = self.polls,
            NoSession::IsTaken => self.rests_until = Some(Instant::now() + PAUSE),
            NoSession::Refused => {
                // For example, the broker is busy: requests must not follow as fast as it refuses
                // them.
                if error.kind() == ErrorKind::Connection {
                    self.rests_until = Some(Instant::now() + PAUSE);
                }
                return error;
            }
        }
        Error::connection(error.message())
    }
}
