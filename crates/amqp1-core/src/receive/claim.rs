//! The session that a consumer asks for, has, and lets go.
//!
//! The broker holds an attach until there is a session to give. So nobody waits for the
//! answer to an attach: it is looked at together with the other queues.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::sync::Mutex;
use crate::brokers::seams::companion::holding::{NoSession, SessionWish};
use crate::error::{Error, ErrorKind};
use crate::receive::attachment::link::SharedLink;
use crate::settings::options::SessionOption;

/// Before a session is asked for again that another consumer has, or that was refused for a
/// passing reason.
const PAUSE: Duration = Duration::from_secs(1);

/// A session without a job for so long is let go for the next free one.
const IDLE: Duration = Duration::from_secs(1);

/// The sessions of one queue of a consumer.
#[derive(Debug)]
pub(super) struct Claim {
    option: SessionOption,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Asked for, not answered.
    asked: Option<Arc<SharedLink>>,
    last_job: Instant,
    /// The session is another's: not asked for until then.
    rests_until: Option<Instant>,
    /// Whoever asks does not wait.
    polls: bool,
    /// Asked by somebody who does not wait, the broker had no session with jobs.
    has_none: bool,
    /// Another token was put since the last session, as the broker had found it expired.
    renewed: bool,
}

/// What became of an attach.
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

    /// The session that is asked for by its id; `None` for the next free one.
    pub fn id(&self) -> Option<&str> {
        match &self.option {
            SessionOption::Next => None,
            SessionOption::Id(id) => Some(id),
        }
    }

    /// What is asked of the broker.
    pub fn wish(&self) -> SessionWish<'_> {
        SessionWish {
            id: self.id(),
            polls: self.state.lock().polls,
        }
    }

    /// A call begins that takes what is there, or one that waits.
    pub fn begin(&self, polls: bool) {
        let mut state = self.state.lock();
        state.polls = polls;
        state.has_none = false;
    }

    /// The broker was asked in this call that does not wait, and had no session with jobs.
    pub fn has_none(&self) -> bool {
        self.state.lock().has_none
    }

    /// The session that it has turned out to be empty: worth asking for the next.
    pub fn may_change(&self, held: u32) -> bool {
        self.option == SessionOption::Next && held == 0
    }

    /// A session is asked for.
    pub fn ask(&self, link: Arc<SharedLink>) {
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
                let why = match &link.holding {
                    Some(holding) => holding.explain_no_session(&error),
                    None => NoSession::Refused,
                };
                state.asked = None;
                Answer::Refused(state.refused(error, why))
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
        self.may_change(held)
            .then(|| self.state.lock().last_job + IDLE)
    }
}

impl State {
    /// A refusal that passes is an error of the connection: asked again.
    fn refused(&mut self, error: Error, why: NoSession) -> Error {
        match why {
            NoSession::NoneHasJobs => self.has_none = self.polls,
            NoSession::IsTaken => self.rests_until = Some(Instant::now() + PAUSE),
            NoSession::Refused => {
                // Busy, for instance: not asked again as fast as it refuses.
                if error.kind() == ErrorKind::Connection {
                    self.rests_until = Some(Instant::now() + PAUSE);
                }
                return error;
            }
        }
        Error::connection(error.message())
    }
}
