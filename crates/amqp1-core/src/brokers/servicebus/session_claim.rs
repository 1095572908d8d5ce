//! Whose turn it is: the session that a consumer asks for, has, and lets go.
//!
//! The service holds an attach until there is a session to give. So nobody waits for the
//! answer to an attach: it is looked at together with the other queues.

use std::time::{Duration, Instant};

use super::constants::{SESSION_IDLE, SESSION_POLL, SESSION_TAKEN, SESSION_WAIT, TIMED_OUT};
use crate::base::sync::Mutex;
use crate::error::{Error, ErrorKind};
use crate::receive::source::Attached;
use crate::settings::options::SessionOption;

/// Before a session is asked for again that another consumer has, or that was refused for a
/// passing reason.
const PAUSE: Duration = Duration::from_secs(1);

/// The sessions of one queue of a consumer.
#[derive(Debug)]
pub(crate) struct Turn {
    option: SessionOption,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Asked for, not answered.
    asked: Option<Attached>,
    last_job: Instant,
    /// The session is another's: not asked for until then.
    rests_until: Option<Instant>,
    /// Whoever asks does not wait.
    polls: bool,
    /// Asked by somebody who does not wait, the service had no session with jobs.
    has_none: bool,
    /// Another token was put since the last session, as the service had found it over.
    renewed: bool,
}

/// What became of an attach.
pub(crate) enum Answer {
    None,
    Taken(Attached),
    Refused(Error),
}

impl Turn {
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

    /// What the session filter says: an id, or null for the next free one.
    pub fn filter(&self) -> Option<String> {
        match &self.option {
            SessionOption::Next => None,
            SessionOption::Id(id) => Some(id.clone()),
        }
    }

    /// A call begins that takes what is there, or one that waits.
    pub fn begin(&self, polls: bool) {
        let mut state = self.state.lock();
        state.polls = polls;
        state.has_none = false;
    }

    /// The service was asked in this call that does not wait, and had no session with jobs.
    pub fn has_none(&self) -> bool {
        self.state.lock().has_none
    }

    /// How long the service may look for a free session.
    pub fn patience(&self) -> Duration {
        match self.state.lock().polls {
            true => SESSION_POLL,
            false => SESSION_WAIT,
        }
    }

    /// The session that it has turned out to be empty: worth asking for the next.
    pub fn may_change(&self, held: u32) -> bool {
        self.option == SessionOption::Next && held == 0
    }

    /// A session is asked for.
    pub fn ask(&self, link: Attached) {
        let mut state = self.state.lock();
        state.rests_until = None;
        state.asked = Some(link);
    }

    /// A session is asked for, and no answer has come.
    pub fn is_asking(&self) -> bool {
        self.state.lock().asked.is_some()
    }

    /// Until when it is not to be asked for.
    pub fn rests_until(&self) -> Option<Instant> {
        let until = self.state.lock().rests_until;
        until.filter(|until| *until > Instant::now())
    }

    /// The answer, if it has come.
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
                state.asked = None;
                let error = match error.condition() {
                    // No session has a job: asked again.
                    Some(TIMED_OUT) => {
                        state.has_none = state.polls;
                        Error::connection(error.message())
                    }
                    Some(SESSION_TAKEN) => {
                        state.rests_until = Some(Instant::now() + PAUSE);
                        Error::connection(error.message())
                    }
                    // Busy, for instance: not asked again as fast as it refuses.
                    _ if error.kind() == ErrorKind::Connection => {
                        state.rests_until = Some(Instant::now() + PAUSE);
                        error
                    }
                    _ => error,
                };
                Answer::Refused(error)
            }
        }
    }

    /// True once for each session: worth another token.
    pub fn may_renew(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().renewed, true)
    }

    /// Nobody waits any more: a session that is given now would be kept from others.
    pub fn give_up(&self) {
        if let Some(link) = self.state.lock().asked.take() {
            link.close();
        }
    }

    /// A job of the session was handed out.
    pub fn note_job(&self) {
        self.state.lock().last_job = Instant::now();
    }

    /// When a session without jobs is let go for the next one.
    pub fn idle_at(&self, held: u32) -> Option<Instant> {
        let waits = self.option == SessionOption::Next && held == 0;
        waits.then(|| self.state.lock().last_job + SESSION_IDLE)
    }

    /// A session that is lost is asked for again: that is no error of the caller's.
    pub fn lost(error: Error) -> Error {
        match error.kind() {
            ErrorKind::TaskLost => Error::connection(error.message()),
            _ => error,
        }
    }
}
