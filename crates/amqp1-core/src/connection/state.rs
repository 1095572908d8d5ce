//! A connection's protocol state, under one lock. No I/O: bytes come in by
//! [`State::on_frame`] and go out through [`Output`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp_types::performatives::{Close, End};
use tokio::net::tcp::OwnedWriteHalf;

use super::condition::explain;
use super::output::Output;
use super::sender::Phase;
use super::session::Session;
use super::tracker::Tracked;
use crate::error::{Error, Result};
use crate::wait::Signal;
use crate::wire::frame::{self, Frame};
use crate::wire::DecodeError;

/// How long an acknowledgement or a queued transfer may wait for company.
const GATHER: Duration = Duration::from_millis(3);

/// Answers that a broker may leave unread while it goes on asking, in bytes.
const MAX_UNREAD: usize = 4 * 1024 * 1024;

/// Ended sessions whose reason is remembered for those who still hold their key.
const REMEMBERED: usize = 64;

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
    channel_max: u16,
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
            channel_max,
            max_frame_size: max_frame_size as usize,
            next_epoch: 0,
            ended: VecDeque::new(),
        }
    }

    /// Opens a session; `None` when the broker's channels are used up.
    pub fn open_session(&mut self, signal: Signal) -> Result<Option<LinkKey>> {
        if let Some(error) = &self.lost {
            return Err(error.clone());
        }
        let free = self.sessions.iter().position(Option::is_none);
        let channel = free.unwrap_or(self.sessions.len());
        if channel > usize::from(self.channel_max) {
            return Ok(None);
        }
        if free.is_none() {
            self.sessions.push(None);
        }
        let channel = channel as u16;
        self.next_epoch += 1;
        let key = LinkKey {
            channel,
            epoch: self.next_epoch,
        };
        let session = Session::new(key.epoch, channel, self.max_frame_size, signal);
        session.begin(&mut self.out.bytes).map_err(internal)?;
        self.sessions[usize::from(channel)] = Some(session);
        Ok(Some(key))
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
                let (session, out) = self.remote(channel)?;
                session.on_transfer(transfer, payload, out)?;
                if session.receiver.as_ref().is_some_and(|r| r.is_paused()) {
                    let channel = session.channel;
                    if let Some(receiver) = &mut session.receiver {
                        receiver.release_buffered(out, channel);
                    }
                }
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
                session.on_attach(&attach, out)?;
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
                    let error = explain(
                        &format!("{} closed the connection", self.label),
                        close.error.as_ref(),
                    );
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
            let what = format!("{} ended the session", self.label);
            let error = explain(&what, end.error.as_ref());
            session.fail(&error);
            if self.ended.len() >= REMEMBERED {
                self.ended.pop_front();
            }
            self.ended.push_back((session.epoch, error));
            if !session.ending {
                let end = End { error: None };
                frame::encode_performative(&mut self.out.bytes, ours, &end)?;
            }
        }
        if !self.has_sessions() {
            self.signal.raise();
        }
        Ok(())
    }

    /// There are sessions that the broker has not ended, or not answered the end of.
    pub fn has_sessions(&self) -> bool {
        self.sessions.iter().any(Option::is_some)
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::BytesMut;
    use fe2o3_amqp_types::definitions::Handle;
    use fe2o3_amqp_types::performatives::{Begin, Flow};

    use super::*;

    fn begin(ours: u16) -> Begin {
        Begin {
            remote_channel: Some(ours),
            next_outgoing_id: 0,
            incoming_window: 100,
            outgoing_window: 100,
            handle_max: Handle(7),
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        }
    }

    fn say(
        state: &mut State,
        channel: u16,
        performative: &impl serde::Serialize,
    ) -> Result<bool, DecodeError> {
        let mut bytes = Vec::new();
        frame::encode_performative(&mut bytes, channel, performative)?;
        let decoded = frame::decode(&mut BytesMut::from(&bytes[..]), 4096)?;
        let (channel, frame) = decoded.unwrap();
        state.on_frame(channel, frame)
    }

    fn state() -> State {
        let mut state = State::new("test", 512, 10);
        state.open_session(Signal::new()).unwrap();
        state.open_session(Signal::new()).unwrap();
        state
    }

    #[test]
    fn one_session_begins_once_and_has_its_channel_for_itself() {
        let mut first = state();
        say(&mut first, 5, &begin(0)).unwrap();
        assert!(say(&mut first, 6, &begin(0)).is_err());
        let mut second = state();
        say(&mut second, 5, &begin(0)).unwrap();
        assert!(say(&mut second, 5, &begin(1)).is_err());
    }

    fn echo() -> Flow {
        Flow {
            next_incoming_id: Some(0),
            incoming_window: 100,
            next_outgoing_id: 0,
            outgoing_window: 100,
            handle: None,
            delivery_count: None,
            link_credit: None,
            available: None,
            drain: false,
            echo: true,
            properties: None,
        }
    }

    #[test]
    fn a_broker_that_asks_and_never_reads_is_left() {
        let mut state = state();
        say(&mut state, 5, &begin(0)).unwrap();
        let refused = (0..1_000_000).find_map(|_| say(&mut state, 5, &echo()).err());
        assert!(refused.is_some());
        assert!(state.out.bytes.len() < MAX_UNREAD + 4096);
    }

    #[test]
    fn a_broker_that_reads_slowly_does_not_make_the_output_grow() {
        let mut state = state();
        say(&mut state, 5, &begin(0)).unwrap();
        for _ in 0..20_000 {
            say(&mut state, 5, &echo()).unwrap();
            let all_but_one = state.out.pending().len() - 1;
            state.out.advance(all_but_one);
        }
        assert!(
            state.out.bytes.len() < 2 * crate::connection::output::COMPACT,
            "{}",
            state.out.bytes.len()
        );
    }
}
