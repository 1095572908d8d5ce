//! A connection's protocol state, under one lock. No I/O: bytes come in by
//! [`State::on_frame`] and go out through [`Output`].

mod waiting;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp_types::performatives::{Close, End};
use tokio::net::tcp::OwnedWriteHalf;

use super::channels::Channels;
use super::condition::{all_in_use, explain, explain_close, BEGIN_UNANSWERED};
use super::output::Output;
use super::receiver::Receiver;
use super::sender::{Phase, Sender};
use super::session::Session;
use super::tracker::Tracked;
use crate::base::wait::Signal;
use crate::error::{Error, Result};
use crate::wire::frame::{self, Frame};
use crate::wire::DecodeError;

/// How long an acknowledgement or a queued transfer may wait for company.
const GATHER: Duration = Duration::from_millis(3);

/// Answers that a broker may leave unread while it goes on asking, in bytes.
const MAX_UNREAD: usize = 4 * 1024 * 1024;

/// Ended sessions whose reason is remembered for those who still hold their key.
const REMEMBERED: usize = 64;

/// How long the broker may take to answer a begin. RabbitMQ loses one that reaches a
/// session of the same channel that is about to go (see [`Channels`]); on another channel
/// it is answered.
const UNANSWERED: Duration = Duration::from_secs(3);

/// Names a session, and so its links, for as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LinkKey {
    pub channel: u16,
    pub epoch: u64,
}

#[derive(Debug)]
pub(crate) struct State {
    pub out: Output,
    pub last_sent: Instant,
    pub last_received: Instant,
    /// When gathered work has to go out.
    pub flush_at: Option<Instant>,
    /// The connection is over, and why.
    pub lost: Option<Error>,
    /// Our `close` is sent.
    pub closing: bool,
    /// Raised when the connection is over, and when its last session is.
    pub signal: Signal,
    /// Plain TCP, while the connection lives: PHP's thread writes to it.
    pub tcp: Option<Arc<OwnedWriteHalf>>,
    label: String,
    sessions: Vec<Option<Session>>,
    by_remote: HashMap<u16, u16>,
    channels: Channels,
    /// Sessions that were opened, and when their begin is given up; those that the broker has
    /// answered are taken out when they come to be the oldest.
    opened: VecDeque<(LinkKey, Instant)>,
    /// The driver has to look when it is to wake next.
    pub has_new_timer: bool,
    /// When deliveries in some buffer may have waited for too long.
    pub waited_at: Option<Instant>,
    /// Closed when it has had no session for so long; and since when that is.
    idle_limit: Option<Duration>,
    idle_since: Option<Instant>,
    /// That is why it is closed.
    pub was_idle: bool,
    max_frame_size: usize,
    next_epoch: u64,
    /// Why sessions ended whose slot may be another's by now.
    ended: VecDeque<(u64, Error)>,
}

impl State {
    pub fn new(label: &str, max_frame_size: u32, channel_max: u16) -> Self {
        Self {
            out: Output::default(),
            last_sent: Instant::now(),
            last_received: Instant::now(),
            flush_at: None,
            lost: None,
            closing: false,
            signal: Signal::new(),
            tcp: None,
            label: label.to_owned(),
            sessions: Vec::new(),
            by_remote: HashMap::new(),
            channels: Channels::new(channel_max),
            opened: VecDeque::new(),
            has_new_timer: false,
            waited_at: None,
            idle_limit: None,
            idle_since: None,
            was_idle: false,
            max_frame_size: max_frame_size as usize,
            next_epoch: 0,
            ended: VecDeque::new(),
        }
    }

    /// Opens a session.
    ///
    /// # Errors
    /// [`super::condition::ALL_IN_USE`] when the broker's channels are used up.
    pub fn open_session(&mut self, signal: Signal) -> Result<LinkKey> {
        if let Some(error) = &self.lost {
            return Err(error.clone());
        }
        if self.closing {
            return Err(Error::connection("the connection is closing"));
        }
        self.idle_since = None;
        let now = Instant::now();
        let Some(channel) = self.channels.take(now) else {
            return Err(all_in_use(&self.label));
        };
        if self.sessions.len() <= usize::from(channel) {
            self.sessions.resize_with(usize::from(channel) + 1, || None);
        }
        self.next_epoch += 1;
        let key = LinkKey {
            channel,
            epoch: self.next_epoch,
        };
        let session = Session::new(key.epoch, channel, self.max_frame_size, signal);
        session.begin(&mut self.out.bytes).map_err(internal)?;
        self.sessions[usize::from(channel)] = Some(session);
        self.opened.push_back((key, now + UNANSWERED));
        self.has_new_timer = true;
        Ok(key)
    }

    /// Closes the connection when it has had no session for so long.
    pub fn close_when_idle(&mut self, after: Duration) {
        self.idle_limit = Some(after);
        self.idle_since = (!self.has_sessions()).then(Instant::now);
        self.has_new_timer = true;
    }

    /// When it is to be closed for that.
    pub fn idle_at(&self) -> Option<Instant> {
        Some(self.idle_since? + self.idle_limit?)
    }

    /// Closes it if the time has come.
    pub fn close_if_idle(&mut self, now: Instant) {
        if !self.closing && self.idle_at().is_some_and(|at| at <= now) {
            self.was_idle = true;
            self.idle_since = None;
            // What cannot be written cannot be said.
            let _ = self.close();
        }
    }

    /// When the oldest unanswered begin is given up.
    pub fn give_up_at(&mut self) -> Option<Instant> {
        while let Some((key, at)) = self.opened.front().copied() {
            if self
                .session(key)
                .is_some_and(|session| session.is_unanswered())
            {
                return Some(at);
            }
            self.opened.pop_front();
        }
        None
    }

    /// Gives up the sessions whose begin has not been answered: their links are told, and
    /// open others.
    pub fn give_up_unanswered(&mut self, now: Instant) {
        while self.give_up_at().is_some_and(|at| at <= now) {
            let Some((key, _)) = self.opened.pop_front() else {
                return;
            };
            let label = &self.label;
            let error = Error::connection(format!("{label} did not answer the begin of a session"))
                .with_condition(BEGIN_UNANSWERED);
            if let Some((session, out)) = self.session_and_out(key) {
                session.given_up = true;
                session.fail(&error);
                // Should the broker only have been slow.
                let _ = session.end(out);
            }
            self.remember(key.epoch, error);
        }
    }

    /// The session of a key, if it is still the same one.
    pub fn session(&mut self, key: LinkKey) -> Option<&mut Session> {
        self.session_and_out(key).map(|(session, _)| session)
    }

    /// The session of a key and the buffer it writes to.
    pub fn session_and_out(&mut self, key: LinkKey) -> Option<(&mut Session, &mut Vec<u8>)> {
        let session = self.sessions.get_mut(usize::from(key.channel))?.as_mut()?;
        (session.epoch == key.epoch).then_some((session, &mut self.out.bytes))
    }

    /// Why the session of a key is not there any more.
    pub fn gone(&self, key: LinkKey) -> Error {
        if let Some(error) = &self.lost {
            return error.clone();
        }
        let ended = self.ended.iter().find(|(epoch, _)| *epoch == key.epoch);
        ended.map_or_else(
            || Error::connection("the link is closed"),
            |(_, error)| error.clone(),
        )
    }

    /// Sessions in use.
    pub fn session_count(&self) -> usize {
        self.sessions.iter().flatten().count()
    }

    /// The links' names, for the fuzzer's broker.
    #[cfg(feature = "fuzzing")]
    pub fn link_names(&self) -> Vec<String> {
        let sessions = self.sessions.iter().flatten();
        let names = sessions.flat_map(|session| {
            let sender = session.sender.as_ref().map(|sender| sender.name.clone());
            let receiver = session.receiver.as_ref().map(|r| r.name.clone());
            [sender, receiver].into_iter().flatten()
        });
        names.collect()
    }

    /// Sends a message over a session's sender.
    pub fn send(
        &mut self,
        key: LinkKey,
        payload: Bytes,
        format: u32,
        tracked: Option<Tracked>,
    ) -> Result<()> {
        if self.session(key).is_none() {
            return Err(self.gone(key));
        }
        let Some((session, out)) = self.session_and_out(key) else {
            return Ok(());
        };
        let Some(sender) = &mut session.sender else {
            return Err(Error::connection("the link is closed"));
        };
        if let Phase::Detached(error) = &sender.phase {
            return Err(error.clone());
        }
        sender.push(payload, format, tracked);
        session.pump(out);
        Ok(())
    }

    /// Writes what is to be written as far as the socket takes it at once.
    pub fn write_now(&mut self) {
        while let Some(tcp) = self.tcp.as_ref().filter(|_| !self.out.is_empty()) {
            // Full, or broken: the driver waits for room or reports it.
            let Ok(count) = tcp.try_write(self.out.pending()) else {
                return;
            };
            self.written(count);
        }
    }

    /// Bytes have left, and transfers that waited for room may follow.
    pub fn written(&mut self, count: usize) {
        self.out.advance(count);
        self.last_sent = Instant::now();
        if self.out.is_empty() {
            self.pump_all();
        }
    }

    /// Ends a session; the slot is free when the broker has answered.
    pub fn end_session(&mut self, key: LinkKey) {
        if let Some((session, out)) = self.session_and_out(key) {
            // A performative of ours that cannot be written: nothing to tell the broker then.
            let _ = session.end(out);
        }
    }

    /// Work that waits for company goes out soon. True when the driver has to know.
    pub fn flush_soon(&mut self) -> bool {
        if self.flush_at.is_some() {
            return false;
        }
        self.flush_at = Some(Instant::now() + GATHER);
        true
    }

    /// Tells the broker everything that was gathered.
    pub fn flush_all(&mut self) -> Result<(), DecodeError> {
        self.flush_at = None;
        for session in self.sessions.iter_mut().flatten() {
            if !session.ending {
                session.flush(&mut self.out.bytes)?;
            }
        }
        Ok(())
    }

    fn pump_all(&mut self) {
        for session in self.sessions.iter_mut().flatten() {
            if !session.ending {
                session.pump(&mut self.out.bytes);
            }
        }
    }

    /// One frame from the broker. `Ok(true)` when the connection is over in good order.
    pub fn on_frame(&mut self, channel: u16, frame: Frame) -> Result<bool, DecodeError> {
        match frame {
            Frame::Empty => {}
            Frame::Transfer(transfer, payload) => {
                let received = self.last_received;
                let (session, out) = self.remote(channel)?;
                session.on_transfer(transfer, payload, received, out)?;
                let waited_at = session.receiver.as_ref().and_then(Receiver::waited_at);
                if session.receiver.as_ref().is_some_and(|r| r.is_paused()) {
                    let channel = session.channel;
                    if let Some(receiver) = &mut session.receiver {
                        receiver.release_buffered(out, channel);
                    }
                }
                self.look_at(waited_at);
            }
            Frame::Disposition(disposition) => {
                let (session, out) = self.remote(channel)?;
                session.on_disposition(&disposition, out)?;
            }
            Frame::Other(body) => {
                if self.on_performative(channel, *body)? {
                    return Ok(true);
                }
            }
        }
        // Reading goes on while the broker does not read, or both would wait for
        // ever; what it asks for meanwhile (echoes, drains) has to end somewhere.
        if self.out.pending().len() > MAX_UNREAD {
            return Err(DecodeError("questions without reading the answers"));
        }
        Ok(false)
    }

    fn on_performative(&mut self, channel: u16, body: FrameBody) -> Result<bool, DecodeError> {
        match body {
            FrameBody::Begin(begin) => {
                let ours = begin.remote_channel.ok_or(UNKNOWN_SESSION)?;
                let session = self.sessions.get_mut(usize::from(ours));
                let session = session.and_then(Option::as_mut).ok_or(UNKNOWN_SESSION)?;
                // Otherwise frames of one session could reach a later one.
                if session.remote_channel.is_some() || self.by_remote.contains_key(&channel) {
                    return Err(DecodeError("a second begin"));
                }
                session.on_begin(channel, &begin);
                self.by_remote.insert(channel, ours);
            }
            FrameBody::Attach(attach) => {
                let (session, out) = self.remote(channel)?;
                session.on_attach(attach, out)?;
            }
            FrameBody::Flow(flow) => {
                let (session, out) = self.remote(channel)?;
                session.on_flow(&flow, out)?;
            }
            FrameBody::Detach(detach) => {
                let label = self.label.clone();
                let (session, out) = self.remote(channel)?;
                session.on_detach(&detach, out, |error| {
                    explain(&format!("{label} ended the link"), error)
                })?;
            }
            FrameBody::End(end) => self.on_end(channel, &end)?,
            FrameBody::Close(close) => {
                if !self.closing {
                    frame::encode_performative(&mut self.out.bytes, 0, &Close { error: None })?;
                    self.closing = true;
                    let error = explain_close(&self.label, close.error.as_ref());
                    self.fail(&error);
                }
                return Ok(true);
            }
            FrameBody::Open(_) => return Err(DecodeError("a second open")),
            FrameBody::Transfer { .. } | FrameBody::Disposition(_) | FrameBody::Empty => {}
        }
        Ok(false)
    }

    fn on_end(&mut self, channel: u16, end: &End) -> Result<(), DecodeError> {
        let ours = self.by_remote.remove(&channel).ok_or(UNKNOWN_SESSION)?;
        let slot = &mut self.sessions[usize::from(ours)];
        if let Some(mut session) = slot.take() {
            self.channels.put_back(ours, Instant::now());
            let what = format!("{} ended the session", self.label);
            let error = match session.why_detached() {
                Some(earlier) => earlier.clone(),
                None => explain(&what, end.error.as_ref()),
            };
            session.fail(&error);
            self.remember(session.epoch, error);
            if !session.ending {
                let end = End { error: None };
                frame::encode_performative(&mut self.out.bytes, ours, &end)?;
            }
        }
        if !self.has_sessions() {
            self.idle_since = self.idle_limit.map(|_| Instant::now());
            self.has_new_timer |= self.idle_limit.is_some();
            self.signal.raise();
        }
        Ok(())
    }

    fn remember(&mut self, epoch: u64, error: Error) {
        if self.ended.len() >= REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back((epoch, error));
    }

    /// There are sessions that the broker has not ended, or not answered the end of.
    pub fn has_sessions(&self) -> bool {
        let mut sessions = self.sessions.iter().flatten();
        sessions.any(|session| !session.given_up)
    }

    /// Ends links and sessions.
    pub fn end_sessions(&mut self) -> Result<(), DecodeError> {
        for session in self.sessions.iter_mut().flatten() {
            session.end(&mut self.out.bytes)?;
        }
        Ok(())
    }

    fn remote(&mut self, channel: u16) -> Result<(&mut Session, &mut Vec<u8>), DecodeError> {
        let ours = self.by_remote.get(&channel).ok_or(UNKNOWN_SESSION)?;
        let session = self.sessions.get_mut(usize::from(*ours));
        let session = session.and_then(Option::as_mut).ok_or(UNKNOWN_SESSION)?;
        Ok((session, &mut self.out.bytes))
    }

    /// Something was sent that the broker has to answer.
    pub fn is_owed(&self) -> bool {
        let mut senders = self.sessions.iter().flatten().flat_map(|s| &s.sender);
        senders.any(Sender::is_owed)
    }

    /// Jobs from the broker are here and not settled.
    pub fn holds_deliveries(&self) -> bool {
        let mut receivers = self.sessions.iter().flatten().flat_map(|s| &s.receiver);
        receivers.any(|receiver| receiver.held() > 0)
    }

    /// The connection is over: every link is told.
    pub fn fail(&mut self, error: &Error) {
        if self.lost.is_some() {
            return;
        }
        self.lost = Some(error.clone());
        self.tcp = None;
        for session in self.sessions.iter_mut().flatten() {
            session.fail(error);
        }
        self.signal.raise();
    }

    /// Ends everything in good order: links, sessions, connection.
    pub fn close(&mut self) -> Result<(), DecodeError> {
        if self.closing || self.lost.is_some() {
            return Ok(());
        }
        self.closing = true;
        self.end_sessions()?;
        frame::encode_performative(&mut self.out.bytes, 0, &Close { error: None })
    }
}

const UNKNOWN_SESSION: DecodeError = DecodeError("a frame for a session that does not exist");

pub(crate) fn internal(error: DecodeError) -> Error {
    Error::connection(error.to_string())
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
