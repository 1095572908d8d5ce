//! Long transfer frames, whose part of a message goes to its place as it arrives.
//!
//! Brokers may send a message of any size in one frame, which costs them less than many. Such a
//! frame is not gathered in the input: its payload is appended to the message, and the caller may
//! read it right there ([`Protocol::poll_room`]). Apart from that, a frame in pieces is handled as
//! a delivery of several frames.

use std::time::Instant;

use bytes::buf::Limit;
use bytes::BufMut;

use super::rest::Rest;
use super::Protocol;
use crate::error::Result;
use crate::wire::frame::{self, Transfer};
use crate::wire::DecodeError;

/// Shorter frames are handled as a whole, in bytes. In tests, most are longer.
const LONG: usize = if cfg!(test) { 48 } else { 16 * 1024 };

/// The most bytes to read at once.
const ROOM: usize = 256 * 1024;

impl Protocol {
    /// Where the next bytes of a long message belong. If there is such a place, read there and call
    /// [`Protocol::handle_placed`]; otherwise, read into the input.
    pub fn poll_room(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        let rest = self.rest.as_ref().filter(|rest| rest.missing >= LONG)?;
        let session = self.sessions.of_remote(rest.channel).ok()?;
        let message = session.arriving(rest.handle)?;
        let room = rest.missing.min(ROOM);
        message.reserve(room);
        Some(message.limit(room))
    }

    /// Records that `count` bytes were read to where [`Protocol::poll_room`] has told.
    ///
    /// # Errors
    /// As [`Protocol::handle_input`].
    pub fn handle_placed(&mut self, count: usize, now: Instant) -> Result<()> {
        self.timers.last_received = now;
        if let Some(rest) = &mut self.rest {
            rest.missing = rest.missing.saturating_sub(count);
        }
        let ended = self.end_frame(&[], now);
        ended.map_err(|error| self.blame(error))
    }

    /// Takes the rest of a frame from the beginning of `input`; returns how many bytes that were.
    pub(super) fn take_rest(&mut self, input: &[u8], now: Instant) -> Result<usize, DecodeError> {
        let Some(rest) = &mut self.rest else {
            return Ok(0);
        };
        let payload = &input[..rest.missing.min(input.len())];
        rest.missing -= payload.len();
        if rest.missing > 0 {
            let session = self.sessions.of_remote(rest.channel)?;
            session.on_payload(rest.handle, payload);
        } else {
            self.end_frame(payload, now)?;
        }
        Ok(payload.len())
    }

    /// Takes the beginning of a long frame, which is all of `input`; returns how many bytes it has.
    pub(super) fn take_beginning(
        &mut self,
        input: &[u8],
        now: Instant,
    ) -> Result<usize, DecodeError> {
        if self.rest.is_some() || frame::length(input).is_none_or(|length| length < LONG) {
            return Ok(0);
        }
        let Some(begun) = frame::begun(input)? else {
            return Ok(0);
        };
        let (transfer, channel) = (begun.transfer, begun.channel);
        self.rest = Some(Rest {
            channel,
            handle: transfer.handle,
            settled: transfer.settled,
            more: transfer.more,
            aborted: transfer.aborted,
            missing: begun.missing,
        });
        let whole = begun.payload.len() + begun.missing;
        let session = self.sessions.of_remote(channel)?;
        session.on_beginning(transfer, begun.payload, whole, &mut self.block, now)?;
        Ok(input.len())
    }

    /// Handles a long frame whose last bytes are `payload`, if nothing is missing.
    fn end_frame(&mut self, payload: &[u8], now: Instant) -> Result<(), DecodeError> {
        let Some(rest) = self.rest.take_if(|rest| rest.missing == 0) else {
            return Ok(());
        };
        let transfer = Transfer {
            handle: rest.handle,
            settled: rest.settled,
            more: rest.more,
            aborted: rest.aborted,
            ..Transfer::default()
        };
        self.on_transfer(rest.channel, &transfer, payload, now)
    }
}
