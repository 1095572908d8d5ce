//! AMQP 1.0 without a socket and without a clock: octets and the time go in, octets and wishes
//! come out.
//!
//! A [`Protocol`] is one connection behind its `open`: its sessions and links. Its methods, by
//! their role:
//!
//! - **getters**: how it stands; they change nothing;
//! - **commands** of the client (`open_session`, `send`, `close` …, and those of a [`Session`] that
//!   [`Protocol::session`] gives): they write to the output, and never wait;
//! - **`handle_*`**: what happened outside: octets were read ([`Protocol::handle_input`]), octets
//!   have left ([`Protocol::handle_written`]), time has passed ([`Protocol::handle_timeout`]), the
//!   connection broke ([`Protocol::handle_lost`]);
//! - **`poll_*`**: what it wants done.
//!
//! After one or more commands or `handle_*`, in this order:
//!
//! 1. [`Protocol::poll_output`], written as far as the socket takes it, each part of it told to
//!    [`Protocol::handle_written`], which may produce more;
//! 2. [`Protocol::poll_new_timer`]: when it says so, the timer that runs is too late;
//! 3. [`Protocol::poll_timeout`], before whoever drives it sleeps: then `handle_timeout` is due.
//!
//! When [`Protocol::handle_input`] says that the connection is over, what is still in the output is
//! written, and nothing else follows. `handle_timeout` may come at any time: early, it does nothing.
//! Each `now` may not be earlier than the one before.
//!
//! Those who wait are woken by the [`Signal`]s that they gave.

mod channels;
pub(crate) mod condition;
mod incoming;
mod life;
pub(crate) mod link;
mod opening;
pub(crate) mod options;
mod output;
pub(crate) mod receiver;
pub(crate) mod remote;
pub(crate) mod sender;
pub(crate) mod session;
pub(crate) mod sessions;
pub(crate) mod terminus;
mod timers;
pub(crate) mod tracker;
pub(crate) mod watch;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fe2o3_amqp_types::performatives::Close;

use self::condition::all_in_use;
use self::output::Output;
use self::remote::Remote;
use self::sender::Sender;
use self::session::Session;
use self::sessions::{LinkKey, Sessions};
use self::timers::Timers;
use self::tracker::Tracked;
use crate::base::wait::Signal;
use crate::error::{Error, Result};
use crate::wire::frame;
use crate::wire::DecodeError;

/// The largest frame that is taken, in bytes; announced in `open`.
pub(crate) const MAX_FRAME_SIZE: u32 = 128 * 1024;

/// Ended sessions whose reason is remembered for those who still hold their key.
const REMEMBERED: usize = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Protocol {
    /// The endpoint, as errors name it.
    label: String,
    max_frame_size: usize,
    output: Output,
    sessions: Sessions,
    timers: Timers,
    ends: Ends,
    /// Our `close` is sent.
    closing: bool,
    /// Raised when the connection is over, and when its last session is.
    signal: Signal,
}

/// Why something is over.
#[derive(Debug, Default)]
struct Ends {
    /// The connection.
    lost: Option<Error>,
    /// Sessions whose slot may be another's by now, by their epochs.
    sessions: VecDeque<(u64, Error)>,
}

impl Ends {
    fn remember(&mut self, epoch: u64, error: Error) {
        if self.sessions.len() >= REMEMBERED {
            self.sessions.pop_front();
        }
        self.sessions.push_back((epoch, error));
    }

    fn of(&self, key: LinkKey) -> Error {
        if let Some(error) = &self.lost {
            return error.clone();
        }
        let mut sessions = self.sessions.iter();
        let ended = sessions.find(|(epoch, _)| *epoch == key.epoch);
        ended.map_or_else(
            || Error::connection("the link is closed"),
            |(_, error)| error.clone(),
        )
    }
}

impl Protocol {
    /// A connection whose `open`s are exchanged; the broker has to speak within `heartbeat`.
    pub fn new(label: &str, remote: &Remote, heartbeat: Duration, now: Instant) -> Self {
        Self {
            label: label.to_owned(),
            max_frame_size: remote.max_frame_size as usize,
            output: Output::default(),
            sessions: Sessions::new(remote.channel_max),
            timers: Timers::new(remote.idle_time_out, heartbeat, now),
            ends: Ends::default(),
            closing: false,
            signal: Signal::new(),
        }
    }
}

/// Getters.
impl Protocol {
    /// Why the connection is over, if it is.
    pub fn lost(&self) -> Option<&Error> {
        self.ends.lost.as_ref()
    }

    /// Our `close` is sent.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// It is closed, or about to be, because it had no sessions.
    pub fn was_idle(&self) -> bool {
        self.timers.was_idle
    }

    /// Raised when the connection is over, and when its last session is.
    pub fn signal(&self) -> &Signal {
        &self.signal
    }

    /// Sessions in use.
    pub fn session_count(&self) -> usize {
        self.sessions.iter().count()
    }

    /// There are sessions that the broker has not ended, or not answered the end of.
    pub fn has_sessions(&self) -> bool {
        self.sessions.are_there()
    }

    /// Why the session of a key is not there any more.
    pub fn gone(&self, key: LinkKey) -> Error {
        self.ends.of(key)
    }

    /// Something was sent that the broker has to answer.
    pub fn is_owed(&self) -> bool {
        let mut senders = self.sessions.iter().flat_map(|session| &session.sender);
        senders.any(Sender::is_owed)
    }

    /// Jobs from the broker are here and not settled.
    pub fn holds_deliveries(&self) -> bool {
        let mut receivers = self.sessions.iter().flat_map(|session| &session.receiver);
        receivers.any(|receiver| receiver.held() > 0)
    }

    /// The links' names, for brokers of tests and of the fuzzer.
    #[cfg(feature = "fuzzing")]
    pub fn link_names(&self) -> Vec<String> {
        let names = self.sessions.iter().flat_map(|session| {
            let sender = session.sender.as_ref().map(|sender| sender.name.clone());
            let receiver = session.receiver.as_ref().map(|r| r.name.clone());
            [sender, receiver].into_iter().flatten()
        });
        names.collect()
    }
}

/// Commands.
impl Protocol {
    /// Opens a session.
    ///
    /// # Errors
    /// [`crate::error::condition::Condition::ALL_IN_USE`] when the broker's channels are used up; why the connection is over.
    pub fn open_session(&mut self, signal: Signal, now: Instant) -> Result<LinkKey> {
        if let Some(error) = self.lost() {
            return Err(error.clone());
        }
        if self.closing {
            return Err(Error::connection("the connection is closing"));
        }
        let opened = self.sessions.open(self.max_frame_size, signal, now);
        let (key, session) = opened.ok_or_else(|| all_in_use(&self.label))?;
        session.begin(&mut self.output.bytes).map_err(internal)?;
        self.timers.in_use();
        self.timers.is_new = true;
        Ok(key)
    }

    /// The session of a key, if it is still the same one, and the buffer that it writes to.
    ///
    /// # Errors
    /// [`Protocol::gone`].
    pub fn session(&mut self, key: LinkKey) -> Result<(&mut Session, &mut Vec<u8>)> {
        match self.sessions.get(key) {
            Some(session) => Ok((session, &mut self.output.bytes)),
            None => Err(self.ends.of(key)),
        }
    }

    /// Sends a message over a session's sender.
    ///
    /// # Errors
    /// Why the link is over.
    pub fn send(
        &mut self,
        key: LinkKey,
        payload: Bytes,
        format: u32,
        tracked: Option<Tracked>,
    ) -> Result<()> {
        let (session, out) = self.session(key)?;
        session.send(payload, format, tracked, out)
    }

    /// Ends a session with its links; its channel is free when the broker has answered.
    pub fn end_session(&mut self, key: LinkKey) {
        if let Ok((session, out)) = self.session(key) {
            // A performative of ours that cannot be written: nothing to tell the broker then.
            let _ = session.end(out);
        }
    }

    /// Ends links and sessions.
    pub fn end_sessions(&mut self) -> Result<(), DecodeError> {
        for session in self.sessions.iter_mut() {
            session.end(&mut self.output.bytes)?;
        }
        Ok(())
    }

    /// Closes the connection when it has had no session for so long.
    pub fn close_when_idle(&mut self, after: Duration, now: Instant) {
        let has_sessions = self.has_sessions();
        self.timers.close_when_idle(after, has_sessions, now);
    }

    /// Ends everything in good order: links, sessions, connection.
    pub fn close(&mut self) -> Result<(), DecodeError> {
        if self.closing || self.lost().is_some() {
            return Ok(());
        }
        self.closing = true;
        self.end_sessions()?;
        frame::encode_performative(&mut self.output.bytes, 0, &Close { error: None })
    }

    /// Something waits for company already, and goes out soon.
    pub fn is_gathering(&self) -> bool {
        self.timers.flush_at.is_some()
    }

    /// What was written, and what was gathered, goes out soon, with what comes until then.
    pub fn gather(&mut self, now: Instant) {
        self.timers.gather(now);
    }

    /// Tells the broker everything that was gathered.
    pub fn flush_all(&mut self, now: Instant) -> Result<(), DecodeError> {
        self.timers.flush_at = None;
        for session in self.sessions.speaking() {
            session.flush(now, &mut self.output.bytes)?;
        }
        Ok(())
    }
}

/// What happened outside; input is in [`incoming`], the time in [`timers`].
impl Protocol {
    /// So many octets of the output have left; transfers that waited for room may follow.
    pub fn handle_written(&mut self, count: usize, now: Instant) {
        self.output.advance(count);
        self.timers.last_sent = now;
        if self.output.is_empty() {
            for session in self.sessions.speaking() {
                session.pump(&mut self.output.bytes);
            }
        }
    }

    /// The connection is over: every link is told. The first reason stays.
    pub fn handle_lost(&mut self, error: &Error) {
        if self.lost().is_some() {
            return;
        }
        self.ends.lost = Some(error.clone());
        for session in self.sessions.iter_mut() {
            session.fail(error);
        }
        self.signal.raise();
    }
}

/// What it wants done; when to wake it is in [`timers`].
impl Protocol {
    /// Octets to be written.
    pub fn poll_output(&self) -> &[u8] {
        self.output.pending()
    }

    /// True once when it may want to be woken sooner than [`Protocol::poll_timeout`] said last.
    pub fn poll_new_timer(&mut self) -> bool {
        std::mem::take(&mut self.timers.is_new)
    }
}

/// A performative of ours that cannot be written.
pub(crate) fn internal(error: DecodeError) -> Error {
    Error::connection(error.to_string())
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
