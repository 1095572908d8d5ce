//! The connection itself (AMQP 1.0 section 2.4), without its sessions: how far it is, what the peer
//! has said of itself, what is to be written, and what it ends with.

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

/// How far a connection is.
#[derive(Debug)]
enum Phase {
    Negotiating(Negotiation),
    /// The peer's open is awaited.
    Opening,
    Opened,
    /// The broker has sent its close, the peer not yet.
    Closing,
    /// What is written is sent, then the stream ends.
    Ended,
}

/// How far a connection is, as far as its timers care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before the peer's open.
    Handshake,
    Open,
    /// The broker has sent its close, the peer not yet.
    Closing,
    /// What is written is sent, then the stream ends.
    Ended,
}

/// What a frame asks the broker for.
#[derive(Debug)]
pub(crate) enum Asked {
    Nothing,
    /// The broker's own open.
    Open,
    /// A session on a channel that may have one.
    Begin(u16, Begin),
    /// The end of a channel's session, if it has one.
    End(u16),
    /// Whatever belongs to a session; the channel has one.
    Session(u16, SessionFrame),
    /// The end of all sessions, then [`Endpoint::answer_close`].
    Close,
    /// A close with this error.
    Broken(AmqpErrorValue),
}

/// A frame of a session.
#[derive(Debug)]
pub(crate) struct SessionFrame {
    pub(crate) performative: Performative,
    pub(crate) payload: Bytes,
    /// See [`Frame::unknown`].
    pub(crate) unknown: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Endpoint {
    phase: Phase,
    /// What is to be written.
    pub(crate) out: BytesMut,
    pub(crate) peer_max_frame_size: u32,
    /// After which silence the peer gives up.
    peer_idle_timeout: Option<Duration>,
    /// What the connection ends with, when it is not an orderly close.
    failure: Option<Error>,
    /// What wakes its task besides its stream and its timers.
    waker: Arc<Notify>,
    /// When the dialect has something to do by itself, Unix milliseconds.
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

    /// Negotiates, then decodes all whole frames in the read buffer; an error is the last.
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

    /// What a frame asks for, with as many sessions allowed and this one there or not.
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

    /// Sends the open; the connection is open for the broker then.
    pub(crate) fn send_open(&mut self, open: &Open) {
        self.phase = Phase::Opened;
        self.put(0, open);
    }

    /// Whether a close with an error can be sent: the sessions are to be given up then, and
    /// [`Endpoint::send_close`] follows.
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

    /// Ends the connection; the reason is kept, or else the one before.
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

    /// What the connection ends with, when it is not an orderly close.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }
}
