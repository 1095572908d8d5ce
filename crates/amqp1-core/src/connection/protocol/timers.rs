//! Timed actions that no frame triggers.
//!
//! A table of times and their actions; the earliest time is [`Protocol::poll_timeout`].

use std::time::{Duration, Instant};

use super::receiver::Receiver;
use super::{internal, Protocol};
use crate::error::condition::Condition;
use crate::error::{Error, Result};
use crate::wire::frame;

/// How long an acknowledgement or a queued transfer may wait to be sent together with others.
const GATHER: Duration = Duration::from_millis(3);

/// For how long deliveries may be on their way after something was sent. A broker nearby answers
/// within it.
pub(super) const ON_THE_WAY: Duration = Duration::from_millis(2);

#[derive(Debug)]
pub(super) struct Timers {
    /// A heartbeat is sent after this long without other output.
    heartbeat_every: Duration,
    /// A broker that is silent for longer counts as lost.
    silence: Duration,
    pub last_sent: Instant,
    pub last_received: Instant,
    /// When gathered output must be sent.
    pub flush_at: Option<Instant>,
    /// When buffered deliveries may have waited for too long.
    waited_at: Option<Instant>,
    /// The connection is closed after this long without a session; and the start of that time.
    idle_limit: Option<Duration>,
    idle_since: Option<Instant>,
    /// Whether it was closed for that reason.
    pub was_idle: bool,
    /// Whether the earliest time may have changed since the last poll.
    pub is_new: bool,
}

impl Timers {
    /// For a broker that must hear from us within `theirs`, and was told to send within `ours`.
    pub fn new(theirs: Option<Duration>, ours: Duration, now: Instant) -> Self {
        // Well within the broker's limit, which some brokers enforce exactly.
        let limit = theirs.unwrap_or(Duration::from_secs(3600));
        Self {
            heartbeat_every: (limit / 3).max(Duration::from_millis(100)),
            // Brokers send at half of it; the margin is for delays.
            silence: ours + ours / 2,
            last_sent: now,
            last_received: now,
            flush_at: None,
            waited_at: None,
            idle_limit: None,
            idle_since: None,
            was_idle: false,
            is_new: false,
        }
    }

    /// Schedules gathered output to be sent soon.
    pub fn gather(&mut self, now: Instant) {
        if self.flush_at.is_none() {
            self.flush_at = Some(now + GATHER);
            self.is_new = true;
        }
    }

    /// Schedules a check for deliveries that will have waited for too long at that time.
    pub fn look_at(&mut self, at: Option<Instant>) {
        // Deliveries taken before then are not tracked: the timer finds out when the next check is
        // due.
        if at.is_some_and(|at| self.waited_at.is_none_or(|sooner| at < sooner)) {
            self.waited_at = at;
            self.is_new = true;
        }
    }

    pub fn close_when_idle(&mut self, after: Duration, has_sessions: bool, now: Instant) {
        self.idle_limit = Some(after);
        self.idle_since = (!has_sessions).then_some(now);
        self.is_new = true;
    }

    /// Records that there is a session.
    pub fn in_use(&mut self) {
        self.idle_since = None;
    }

    /// Records that there is no session any more.
    pub fn without_sessions(&mut self, now: Instant) {
        self.idle_since = self.idle_limit.map(|_| now);
        self.is_new |= self.idle_limit.is_some();
    }

    fn idle_at(&self) -> Option<Instant> {
        Some(self.idle_since? + self.idle_limit?)
    }
}

impl Protocol {
    /// When [`Protocol::handle_timeout`] is due.
    pub fn poll_timeout(&mut self, now: Instant) -> Instant {
        let timers = &self.timers;
        // While the peer does not read, a heartbeat must wait like all output. Counted from the
        // last heartbeat, the timer would fire continuously.
        let since = match self.output.is_empty() {
            true => timers.last_sent,
            false => now,
        };
        let heartbeat = since + timers.heartbeat_every;
        let silence = timers.last_received + timers.silence;
        let others = [
            timers.flush_at,
            timers.idle_at(),
            timers.waited_at,
            self.sessions.give_up_at(),
        ];
        let soonest = heartbeat.min(silence);
        others.into_iter().flatten().fold(soonest, Instant::min)
    }

    /// Does the work that is due at `now`.
    ///
    /// # Errors
    /// The broker was silent for too long; the caller must end the connection.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<()> {
        let silence = self.timers.silence;
        if now >= self.timers.last_received + silence {
            return Err(Error::connection(format!(
                "{} has been silent for {} s, longer than its heartbeat allows",
                self.label,
                silence.as_secs()
            )));
        }
        if self.timers.flush_at.is_some_and(|at| now >= at) {
            self.flush_all(now).map_err(internal)?;
        }
        self.return_waited(now)?;
        self.give_up_unanswered(now);
        self.close_if_idle(now);
        let is_due = now >= self.timers.last_sent + self.timers.heartbeat_every;
        if is_due && self.output.is_empty() {
            frame::encode_empty(self.output.frames());
            self.timers.last_sent = now;
        }
        Ok(())
    }

    /// Returns deliveries that have waited in a buffer for too long: see
    /// [`Receiver::return_waited`].
    fn return_waited(&mut self, now: Instant) -> Result<()> {
        if self.timers.waited_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        let mut next = None;
        for session in self.sessions.speaking() {
            let out = self.output.frames();
            session.return_waited(now, out).map_err(internal)?;
            let at = session.receiver.as_ref().and_then(Receiver::waited_at);
            next = next.into_iter().chain(at).min();
        }
        self.timers.waited_at = next;
        Ok(())
    }

    /// Gives up sessions whose begin was not answered: their links fail, and callers open others.
    fn give_up_unanswered(&mut self, now: Instant) {
        while let Some(key) = self.sessions.overdue(now) {
            let label = &self.label;
            let error = Error::connection(format!("{label} did not answer the begin of a session"))
                .with_condition(Condition::BEGIN_UNANSWERED.as_str());
            if let Ok((session, out)) = self.session(key) {
                // If our own frame cannot be encoded, there is nothing to send.
                let _ = session.give_up(&error, out);
            }
            self.ends.remember(key.epoch, error);
            self.note_sessions(now);
        }
    }

    fn close_if_idle(&mut self, now: Instant) {
        if !self.closing && self.timers.idle_at().is_some_and(|at| at <= now) {
            self.timers.was_idle = true;
            self.timers.in_use();
            // An encoding error is ignored; there is nothing to send then.
            let _ = self.close();
        }
    }
}
