//! AMQP 1.0 without a socket or a clock: bytes and times go in, bytes and requests come out.
//!
//! A [`Protocol`] is one connection after the exchange of `open`: its sessions and links. Its
//! methods, by role:
//!
//! - **getters** return its state and change nothing.
//! - **commands** of the client (`open_session`, `send`, `close` …, and those of a [`Session`] that
//!   [`Protocol::session`] returns) write to the output and never wait.
//! - **`handle_*`** report events from outside: bytes were read ([`Protocol::handle_input`]), bytes
//!   were written ([`Protocol::handle_written`]), time has passed ([`Protocol::handle_timeout`]),
//!   the connection broke ([`Protocol::handle_lost`]).
//! - **`poll_*`** return the actions that it requests.
//!
//! After one or more commands or `handle_*`, call in this order:
//!
//! 1. [`Protocol::poll_output`]: write as much as the socket accepts. Report each part with
//!    [`Protocol::handle_written`], which may produce more output.
//! 2. [`Protocol::poll_new_timer`]: if it returns true, the current timer may be too late.
//! 3. [`Protocol::poll_timeout`] before the driver sleeps: `handle_timeout` is due at that time.
//!
//! If [`Protocol::handle_input`] reports that the connection has ended, write the remaining output
//! and stop. `handle_timeout` may be called at any time; if it is early, it does nothing. No `now`
//! may precede an earlier one.
//!
//! Waiting callers provide a [`Signal`], which is raised to wake them.

mod arriving;
mod channels;
pub(crate) mod condition;
pub(crate) mod elastic;
mod gathering;
mod incoming;
mod life;
pub(crate) mod link;
mod opening;
pub(crate) mod options;
pub(crate) mod output;
pub(crate) mod parts;
pub(crate) mod receiver;
pub(crate) mod remote;
mod rest;
pub(crate) mod sender;
pub(crate) mod session;
pub(crate) mod sessions;
pub(crate) mod terminus;
mod timers;
pub(crate) mod tracker;
pub(crate) mod watch;

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use fe2o3_amqp_types::performatives::Close;

use self::condition::all_in_use;
use self::output::Output;
use self::parts::Parts;
use self::receiver::Receiver;
use self::remote::Remote;
use self::rest::Rest;
use self::sender::Sender;
use self::session::Session;
use self::sessions::{LinkKey, Sessions};
use self::timers::Timers;
use self::tracker::Tracked;
use crate::base::counters::{Counters, CONNECTIONS};
use crate::base::events::{Event, EventKind};
use crate::base::memory::Block;
use crate::base::threads;
use crate::base::wait::Signal;
use crate::error::{Error, Result};
use crate::wire::frame;
use crate::wire::DecodeError;

/// The largest frame that we send, and the largest accepted one that is no transfer, in bytes. The
/// parts of messages in transfers are not kept in frames, so that their length does not matter.
pub(crate) const MAX_FRAME_SIZE: u32 = 128 * 1024;

/// The number of ended sessions whose error is kept for holders of their keys.
const REMEMBERED: usize = 64;

#[derive(Debug)]
pub(crate) struct Protocol {
    /// The endpoint's name in errors.
    label: String,
    /// What the connection is for, in events.
    pub role: &'static str,
    /// The container-id that it was opened with, in events.
    pub container_id: String,
    max_frame_size: usize,
    output: Output,
    /// Small messages that arrive.
    block: Block,
    /// The rest of a long transfer frame.
    rest: Option<Rest>,
    sessions: Sessions,
    timers: Timers,
    /// The sessions that have settlements to flush.
    gathered: Vec<LinkKey>,
    ends: Ends,
    /// Whether our `close` is sent.
    closing: bool,
    /// Raised when the connection ends, and when its last session ends.
    signal: Signal,
}

/// The errors that ended the connection and its sessions.
#[derive(Debug, Default)]
struct Ends {
    /// The connection's error.
    lost: Option<Error>,
    /// Errors of ended sessions, by epoch; their channels may be reused by now.
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
    /// A connection after the exchange of `open`; the broker must send something within
    /// `heartbeat`.
    pub fn new(label: &str, remote: &Remote, heartbeat: Duration, now: Instant) -> Self {
        Self {
            label: label.to_owned(),
            role: "",
            container_id: String::new(),
            max_frame_size: remote.max_frame_size as usize,
            output: Output::default(),
            block: Block::default(),
            rest: None,
            sessions: Sessions::new(remote.channel_max),
            timers: Timers::new(remote.idle_time_out, heartbeat, now),
            gathered: Vec::new(),
            ends: Ends::default(),
            closing: false,
            signal: Signal::new(),
        }
    }
}

/// Getters.
impl Protocol {
    /// The error that ended the connection, if it has ended.
    pub fn lost(&self) -> Option<&Error> {
        self.ends.lost.as_ref()
    }

    /// Whether our `close` is sent.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// Whether it is closed or closing because it had no sessions.
    pub fn was_idle(&self) -> bool {
        self.timers.was_idle
    }

    /// Raised when the connection ends, and when its last session ends.
    pub fn signal(&self) -> &Signal {
        &self.signal
    }

    /// The number of sessions in use.
    pub fn session_count(&self) -> usize {
        self.sessions.iter().count()
    }

    /// Whether there are sessions that the broker has not ended, or whose end it has not answered.
    pub fn has_sessions(&self) -> bool {
        self.sessions.are_there()
    }

    /// The error that ended the session of a key.
    pub fn gone(&self, key: LinkKey) -> Error {
        self.ends.of(key)
    }

    /// Whether the broker owes an answer to something that was sent.
    pub fn is_owed(&self) -> bool {
        let mut senders = self.sessions.iter().flat_map(|session| &session.sender);
        senders.any(Sender::is_owed)
    }

    /// Whether any received job is unsettled.
    pub fn holds_deliveries(&self) -> bool {
        let mut receivers = self.sessions.iter().flat_map(|session| &session.receiver);
        receivers.any(|receiver| receiver.held() > 0)
    }

    /// The deliveries that wait, by the counters of their queue.
    pub fn buffered(&self) -> Vec<(&'static Counters, u64)> {
        let receivers = self.sessions.iter().flat_map(|session| &session.receiver);
        receivers.filter_map(Receiver::counted_buffer).collect()
    }

    /// The links' names, for test brokers and the fuzzer.
    #[cfg(feature = "fuzzing")]
    pub fn link_names(&self) -> Vec<String> {
        let names = self.sessions.iter().flat_map(|session| {
            let sender = session
                .sender
                .as_ref()
                .map(|sender| sender.lanes.first().name.clone());
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
    /// [`crate::error::condition::Condition::ALL_IN_USE`] if all channels are in use; the error
    /// that ended the connection.
    pub fn open_session(&mut self, signal: Signal, now: Instant) -> Result<LinkKey> {
        if let Some(error) = self.lost() {
            return Err(error.clone());
        }
        if self.closing {
            return Err(Error::connection("the connection is closing"));
        }
        let opened = self.sessions.open(self.max_frame_size, signal, now);
        let (key, session) = opened.ok_or_else(|| all_in_use(&self.label))?;
        session.begin(self.output.frames()).map_err(internal)?;
        self.timers.in_use();
        self.timers.is_new = true;
        Ok(key)
    }

    /// The session of a key, if it still exists, and the output buffer.
    ///
    /// # Errors
    /// [`Protocol::gone`].
    pub fn session(&mut self, key: LinkKey) -> Result<(&mut Session, &mut Vec<u8>)> {
        match self.sessions.get(key) {
            Some(session) => Ok((session, self.output.frames())),
            None => Err(self.ends.of(key)),
        }
    }

    /// Sends a message over a session's sender.
    ///
    /// # Errors
    /// The error that ended the link.
    pub fn send(
        &mut self,
        key: LinkKey,
        message: impl Into<Parts>,
        format: u32,
        tracked: Option<Tracked>,
    ) -> Result<()> {
        match self.sessions.get(key) {
            Some(session) => session.send(message.into(), format, tracked, &mut self.output),
            None => Err(self.ends.of(key)),
        }
    }

    /// Whether what waits to be sent is in this part of the memory.
    pub fn uses(&mut self, key: LinkKey, place: &Range<usize>) -> bool {
        let session = self.sessions.get(key);
        let sender = session.and_then(|session| session.sender.as_ref());
        self.output.uses(place) || sender.is_some_and(|sender| sender.uses(place))
    }

    /// Copies what waits to be sent and is in this part of the memory.
    pub fn leave(&mut self, key: LinkKey, place: &Range<usize>) {
        self.output.leave(place);
        let session = self.sessions.get(key);
        if let Some(sender) = session.and_then(|session| session.sender.as_mut()) {
            sender.leave(place);
        }
    }

    /// Ends a session with its links; its channel is free once the broker has answered.
    pub fn end_session(&mut self, key: LinkKey) {
        if let Ok((session, out)) = self.session(key) {
            // If our own frame cannot be encoded, there is nothing to send.
            let _ = session.end(out);
        }
    }

    /// Ends all links and sessions.
    pub fn end_sessions(&mut self) -> Result<(), DecodeError> {
        for session in self.sessions.iter_mut() {
            session.end(self.output.frames())?;
        }
        Ok(())
    }

    /// Closes the connection once it has had no session for this long.
    pub fn close_when_idle(&mut self, after: Duration, now: Instant) {
        let has_sessions = self.has_sessions();
        self.timers.close_when_idle(after, has_sessions, now);
    }

    /// Ends links, sessions and the connection in an orderly way.
    pub fn close(&mut self) -> Result<(), DecodeError> {
        if self.closing || self.lost().is_some() {
            return Ok(());
        }
        self.closing = true;
        self.end_sessions()?;
        frame::encode_performative(self.output.frames(), 0, &Close { error: None })
    }
}

/// Events from outside; see [`incoming`] for input and [`timers`] for time.
impl Protocol {
    /// Records that `count` bytes of the output were written. Transfers that waited for room may
    /// follow.
    pub fn handle_written(&mut self, count: usize, now: Instant) {
        self.output.advance(count);
        self.timers.last_sent = now;
        if self.output.is_empty() {
            for session in self.sessions.speaking() {
                session.pump(&mut self.output);
            }
        }
    }

    /// Records that the connection has ended, and tells all links. The first error stays.
    pub fn handle_lost(&mut self, error: &Error) {
        if self.lost().is_some() {
            return;
        }
        if !self.closing {
            CONNECTIONS.lost.add(1);
            threads::emit(|| Event {
                role: Some(self.role),
                container: Some(self.container_id.clone()),
                error: Some(error.clone()),
                ..Event::new(EventKind::Lost, &self.label)
            });
        }
        self.ends.lost = Some(error.clone());
        for session in self.sessions.iter_mut() {
            session.fail(error);
        }
        self.signal.raise();
    }
}

/// Requested actions; see [`timers`] for the time of the next wake-up.
impl Protocol {
    /// What is to be written.
    pub fn poll_output(&self) -> &Output {
        &self.output
    }

    /// True once if it must possibly be woken earlier than [`Protocol::poll_timeout`] last
    /// returned.
    pub fn poll_new_timer(&mut self) -> bool {
        std::mem::take(&mut self.timers.is_new)
    }
}

/// The error if our own frame cannot be encoded.
pub(crate) fn internal(error: DecodeError) -> Error {
    Error::connection(error.to_string())
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
