//! Handles the broker's frames.

use std::time::Instant;

use bytes::{Buf, BytesMut};
use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp_types::performatives::{Close, End};

use super::condition::{explain, explain_close};
use super::{Protocol, MAX_FRAME_SIZE};
use crate::error::{Error, Result};
use crate::wire::frame::{self, Frame, Transfer};
use crate::wire::DecodeError;

/// The most output, in bytes, that a broker may leave unread while it causes more.
pub(super) const MAX_UNREAD: usize = 4 * 1024 * 1024;

impl Protocol {
    /// Handles bytes that were read at `now`: removes complete frames from the input, leaves the
    /// rest. True if the connection has ended in an orderly way.
    ///
    /// # Errors
    /// The broker violates the protocol; the caller must end the connection.
    pub fn handle_input(&mut self, input: &mut BytesMut, now: Instant) -> Result<bool> {
        self.timers.last_received = now;
        let mut read = 0;
        let over = loop {
            match self.take_rest(&input[read..], now) {
                Ok(taken) => read += taken,
                Err(error) => break Err(error),
            }
            match frame::first(&input[read..], MAX_FRAME_SIZE) {
                Ok(None) => {
                    let begun = self.take_beginning(&input[read..], now);
                    break begun.map(|taken| {
                        read += taken;
                        false
                    });
                }
                Ok(Some(first)) => {
                    read += first.length;
                    match self.on_frame(first.channel, first.frame, now) {
                        Ok(false) => {}
                        over => break over,
                    }
                }
                Err(error) => break Err(error),
            }
        };
        // Nothing refers to the input, so its memory is used again.
        input.advance(read);
        over.map_err(|error| self.blame(error))
    }

    pub(super) fn blame(&self, error: DecodeError) -> Error {
        Error::connection(format!("{} sent {error}", self.label))
    }

    /// Handles one frame. `Ok(true)` if the connection has ended in an orderly way.
    fn on_frame(
        &mut self,
        channel: u16,
        frame: Frame<&[u8]>,
        now: Instant,
    ) -> Result<bool, DecodeError> {
        match frame {
            Frame::Empty => {}
            Frame::Transfer(transfer, payload) => {
                self.on_transfer(channel, &transfer, payload, now)?;
            }
            Frame::Disposition(disposition) => {
                let session = self.sessions.of_remote(channel)?;
                session.on_disposition(&disposition, self.output.frames())?;
            }
            Frame::Other(body) => {
                if self.on_performative(channel, *body, now)? {
                    return Ok(true);
                }
            }
        }
        // Reading continues while the broker does not read, or both could wait for ever. The
        // answers that it meanwhile causes (echoes, drains) need a limit.
        if self.output.pending() > MAX_UNREAD {
            return Err(DecodeError("requests without reading the answers"));
        }
        Ok(false)
    }

    pub(super) fn on_transfer(
        &mut self,
        channel: u16,
        transfer: &Transfer<&[u8]>,
        payload: &[u8],
        now: Instant,
    ) -> Result<(), DecodeError> {
        let session = self.sessions.of_remote(channel)?;
        let out = self.output.frames();
        let waited_at = session.on_transfer(transfer, payload, &mut self.block, now, out)?;
        self.timers.look_at(waited_at);
        Ok(())
    }

    fn on_performative(
        &mut self,
        channel: u16,
        body: FrameBody,
        now: Instant,
    ) -> Result<bool, DecodeError> {
        let out = self.output.frames();
        match body {
            FrameBody::Begin(begin) => self.sessions.begun(channel, &begin)?,
            FrameBody::Attach(attach) => {
                let session = self.sessions.of_remote(channel)?;
                session.on_attach(attach, now, &mut self.output)?;
            }
            FrameBody::Flow(flow) => {
                let session = self.sessions.of_remote(channel)?;
                session.on_flow(&flow, now, &mut self.output)?;
            }
            FrameBody::Detach(detach) => {
                let session = self.sessions.of_remote(channel)?;
                let what = format!("{} ended the link", self.label);
                let error = explain(&what, detach.error.as_ref());
                session.on_detach(&detach, &error, out)?;
            }
            FrameBody::End(end) => self.on_end(channel, &end, now)?,
            FrameBody::Close(close) => {
                if !self.closing {
                    frame::encode_performative(out, 0, &Close { error: None })?;
                    let error = explain_close(&self.label, close.error.as_ref());
                    self.handle_lost(&error);
                    self.closing = true;
                }
                return Ok(true);
            }
            FrameBody::Open(_) => return Err(DecodeError("a second open")),
            FrameBody::Transfer { .. } | FrameBody::Disposition(_) | FrameBody::Empty => {}
        }
        Ok(false)
    }

    fn on_end(&mut self, channel: u16, end: &End, now: Instant) -> Result<(), DecodeError> {
        let mut session = self.sessions.ended(channel, now)?;
        let error = match session.why_detached() {
            Some(earlier) => earlier.clone(),
            None => explain(
                &format!("{} ended the session", self.label),
                end.error.as_ref(),
            ),
        };
        session.fail(&error);
        self.ends.remember(session.epoch, error);
        let ours = session.channel;
        if session.life.ended() {
            frame::encode_performative(self.output.frames(), ours, &End { error: None })?;
        }
        self.note_sessions(now);
        Ok(())
    }

    /// Notes that a session has ended or was given up, possibly the last.
    pub(super) fn note_sessions(&mut self, now: Instant) {
        if !self.has_sessions() {
            self.timers.without_sessions(now);
            self.signal.raise();
        }
    }
}
