//! The connection itself (AMQP 1.0 section 2.4), without its sessions: its state, the peer's
//! limits, the output buffer, and the error that the connection ends with.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fe2o3_amqp_types::definitions::Error as AmqpErrorValue;
use fe2o3_amqp_types::performatives::{Begin, Close, Open, Performative};
use serde::Serialize;
use tokio::sync::Notify;

use super::errors;
use super::negotiation::{Authenticator, Negotiation, Progress};
use crate::error::Error;
use crate::wire::frame::{self, Frame, FrameError, MIN_MAX_FRAME_SIZE};

/// The state of a connection.
#[derive(Debug)]
enum Phase {
    Negotiating(Negotiation),
    /// Waits for the peer's open.
    Opening,
    Opened,
    /// The broker has sent its close, the peer has not.
    Closing,
    /// The output buffer is sent, then the stream ends.
    Ended,
}

/// The state of a connection, as its timers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before the peer's open.
    Handshake,
    Open,
    /// The broker has sent its close, the peer has not.
    Closing,
    /// The output buffer is sent, then the stream ends.
    Ended,
}

/// What the broker must do because of a frame.
#[derive(Debug)]
pub(crate) enum Asked {
    Nothing,
    /// Send its own open.
    Open,
    /// Begin a session on this channel, which is free and within the limit.
    Begin(u16, Begin),
    /// End the channel's session, if there is one.
    End(u16),
    /// Pass the frame to the session of this channel, which exists.
    Session(u16, SessionFrame),
    /// End all sessions, then call [`Endpoint::answer_close`].
    Close,
    /// Close with this error.
    Broken(AmqpErrorValue),
}

/// A frame that belongs to a session.
#[derive(Debug)]
pub(crate) struct SessionFrame {
    pub(crate) performative: Performative,
    pub(crate) payload: Bytes,
    /// See [`Frame::unknown`].
    pub(crate) unknown: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Endpoint {
    phase: Phase,
    /// The output buffer.
    pub(crate) out: BytesMut,
    pub(crate) peer_max_frame_size: u32,
    /// The silence after which the peer gives up.
    peer_idle_timeout: Option<Duration>,
    /// The error that the connection ends with, unless it is closed in an orderly way.
    failure: Option<Error>,
    /// Wakes the connection's task; its stream and its timers also do.
    waker: Arc<Notify>,
    /// When the dialect next has work to do, in Unix milliseconds.
    pub(crate) next_due: Option<u64>,
}

impl Endpoint {
    pub(crate) fn new(waker: Arc<Notify>) -> Self {
        Self {
            phase: Phase::Negotiating(Negotiation::new()),
            out: BytesMut::new(),
            peer_max_frame_size: MIN_MAX_FRAME_SIZE,
            peer_idle_timeout: None,
            failure: None,
            waker,
            next_due: None,
        }
    }

    /// Negotiates, then decodes all complete frames in the read buffer. After an error there are no
    /// more.
    pub(crate) fn take_frames(
        &mut self,
        input: &mut BytesMut,
        authenticator: &mut dyn Authenticator,
        max_frame_size: u32,
        decode: fn(Bytes) -> Result<Frame, FrameError>,
    ) -> Vec<Result<Frame, AmqpErrorValue>> {
        if let Phase::Negotiating(negotiation) = &mut self.phase {
            match negotiation.advance(input, &mut self.out, authenticator) {
                Progress::Waits => return Vec::new(),
                Progress::Done => self.phase = Phase::Opening,
                Progress::Failed(reason) => self.end(Some(Error::Negotiation(reason))),
            }
        }
        let mut frames = Vec::new();
        if matches!(self.phase, Phase::Ended) {
            input.clear();
            return frames;
        }
        loop {
            let next = match frame::split(input, max_frame_size) {
                Ok(None) => break,
                Ok(Some(bytes)) => decode(bytes),
                Err(e) => Err(e),
            };
            let is_error = next.is_err();
            frames.push(next.map_err(errors::malformed));
            if is_error {
                input.clear();
                break;
            }
        }
        frames
    }

    /// Decides what a frame requires, given the session limit and which channels have a session.
    pub(crate) fn read(
        &mut self,
        frame: Frame,
        max_sessions: u16,
        has_session: impl FnOnce(u16) -> bool,
    ) -> Asked {
        let Some(performative) = frame.performative else {
            return Asked::Nothing;
        };
        let channel = frame.channel;
        let (payload, unknown) = (frame.payload, frame.unknown);
        match (&self.phase, performative) {
            (Phase::Opening, Performative::Open(open)) => {
                self.peer_max_frame_size = open.max_frame_size.0.max(MIN_MAX_FRAME_SIZE);
                self.peer_idle_timeout = open
                    .idle_time_out
                    .filter(|ms| *ms > 0)
                    .map(|ms| Duration::from_millis(ms.into()));
                Asked::Open
            }
            (Phase::Closing, Performative::Close(_)) => {
                self.phase = Phase::Ended;
                Asked::Nothing
            }
            (Phase::Closing | Phase::Ended | Phase::Negotiating(_), _) => Asked::Nothing,
            (Phase::Opened, Performative::Close(_)) => Asked::Close,
            (Phase::Opening, _) => Asked::Broken(errors::no_open()),
            (Phase::Opened, Performative::Open(_)) => Asked::Broken(errors::second_open()),
            (Phase::Opened, Performative::Begin(begin)) => {
                if channel >= max_sessions {
                    Asked::Broken(errors::beyond_channel_max(channel))
                } else if has_session(channel) {
                    Asked::Broken(errors::channel_in_use(channel))
                } else {
                    Asked::Begin(channel, begin)
                }
            }
            (Phase::Opened, Performative::End(_)) => Asked::End(channel),
            (Phase::Opened, performative) => {
                if has_session(channel) {
                    let frame = SessionFrame {
                        performative,
                        payload,
                        unknown,
                    };
                    Asked::Session(channel, frame)
                } else {
                    Asked::Broken(errors::no_session(channel))
                }
            }
        }
    }

    /// Appends a frame.
    pub(crate) fn put(&mut self, channel: u16, performative: &impl Serialize) {
        if frame::encode(&mut self.out, channel, performative).is_err() {
            self.phase = Phase::Ended;
        }
    }

    /// Sends the open. From then on, the connection is open for the broker.
    pub(crate) fn send_open(&mut self, open: &Open) {
        self.phase = Phase::Opened;
        self.put(0, open);
    }

    /// Whether a close with an error can be sent. If so, the caller drops the sessions and then
    /// calls [`Endpoint::send_close`].
    pub(crate) fn begin_close(
        &mut self,
        error: &AmqpErrorValue,
        open: impl FnOnce() -> Open,
    ) -> bool {
        match self.phase {
            Phase::Opened => true,
            // A close must follow an open (section 2.4.3).
            Phase::Opening => {
                self.send_open(&open());
                true
            }
            Phase::Negotiating(_) => {
                self.end(Some(Error::Negotiation(errors::describe(error))));
                false
            }
            Phase::Closing | Phase::Ended => false,
        }
    }

    /// Sends a close with an error.
    pub(crate) fn send_close(&mut self, error: AmqpErrorValue) {
        self.failure = Some(Error::Closed(errors::describe(&error)));
        self.phase = Phase::Closing;
        self.put(0, &Close { error: Some(error) });
    }

    /// Answers the peer's close.
    pub(crate) fn answer_close(&mut self) {
        self.put(0, &Close { error: None });
        self.phase = Phase::Ended;
    }

    /// Ends the connection. An earlier reason stays unless there is a new one.
    pub(crate) fn end(&mut self, reason: Option<Error>) {
        self.failure = reason.or(self.failure.take());
        self.phase = Phase::Ended;
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.phase {
            Phase::Negotiating(_) | Phase::Opening => Stage::Handshake,
            Phase::Opened => Stage::Open,
            Phase::Closing => Stage::Closing,
            Phase::Ended => Stage::Ended,
        }
    }

    pub(crate) fn peer_idle_timeout(&self) -> Option<Duration> {
        self.peer_idle_timeout
    }

    pub(crate) fn waker(&self) -> Arc<Notify> {
        self.waker.clone()
    }

    /// The error that the connection ends with, unless it was closed in an orderly way.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }
}
