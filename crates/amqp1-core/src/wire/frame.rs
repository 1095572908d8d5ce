//! Frames (AMQP 1.0 part 2, section 2.3).

mod usual;

use bytes::{Buf, Bytes, BytesMut};
use fe2o3_amqp::frames::amqp::{FrameBody, FrameDecoder};
use serde::Serialize;
use tokio_util::codec::Decoder;

use super::guard::{check_performative, mend};
use super::read::{Items, Reader, Value};
use super::{write, DecodeError};

/// Size, data offset, type and channel.
const HEADER: usize = 8;

/// The beginning of a `transfer` in its shortest form.
const TRANSFER: [u8; 3] = [0x00, 0x53, 0x14];

const TOO_LONG: DecodeError = DecodeError("a frame longer than the max-frame-size");

/// A received frame. `B` is how it holds bytes of the input.
#[derive(Debug)]
pub enum Frame<B = Bytes> {
    /// `transfer`, and its part of the message.
    Transfer(Transfer<B>, B),
    /// `disposition`
    Disposition(Disposition),
    /// Any other performative.
    Other(Box<FrameBody>),
    /// A heartbeat.
    Empty,
}

/// The fields of `transfer` (2.7.5) that matter to a receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transfer<B = Bytes> {
    /// The link.
    pub handle: u32,
    /// On the first frame of a delivery.
    pub delivery_id: Option<u32>,
    /// On the first frame of a delivery.
    pub delivery_tag: B,
    /// The sender has already settled it.
    pub settled: bool,
    /// More frames of the same delivery follow.
    pub more: bool,
    /// The sender withdraws the delivery.
    pub aborted: bool,
}

/// The fields of `disposition` (2.7.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition {
    /// True if a receiver reports on deliveries that we sent.
    pub from_receiver: bool,
    /// First delivery-id.
    pub first: u32,
    /// Last delivery-id, inclusive.
    pub last: u32,
    /// The peer has settled them.
    pub settled: bool,
    /// Their state.
    pub state: Option<State>,
}

/// A delivery state (3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Accepted by the receiver.
    Accepted,
    /// Rejected, with condition and description.
    Rejected(Option<(String, Option<String>)>),
    /// Returned, not counted as failed.
    Released,
    /// Returned, may count as failed.
    Modified,
    /// Partly received, or an extension's state.
    Other,
}

/// Removes the next complete frame from the front of `buffer` and decodes it.
///
/// `None` if it is incomplete.
///
/// # Errors
/// [`DecodeError`] if the frame is longer than `limit` or malformed.
pub fn decode(buffer: &mut BytesMut, limit: u32) -> Result<Option<(u16, Frame)>, DecodeError> {
    if length(buffer).is_some_and(|length| length > limit as usize) {
        return Err(TOO_LONG);
    }
    let Some(first) = first(buffer, limit)? else {
        return Ok(None);
    };
    let (channel, length) = (first.channel, first.length);
    let frame = match first.frame {
        Frame::Transfer(transfer, payload) => {
            let transfer = Transfer {
                handle: transfer.handle,
                delivery_id: transfer.delivery_id,
                delivery_tag: Bytes::copy_from_slice(transfer.delivery_tag),
                settled: transfer.settled,
                more: transfer.more,
                aborted: transfer.aborted,
            };
            Frame::Transfer(transfer, Bytes::copy_from_slice(payload))
        }
        Frame::Disposition(disposition) => Frame::Disposition(disposition),
        Frame::Other(body) => Frame::Other(body),
        Frame::Empty => Frame::Empty,
    };
    buffer.advance(length);
    Ok(Some((channel, frame)))
}

/// A frame at the beginning of the input.
#[derive(Debug)]
pub struct Received<'a> {
    /// Its channel.
    pub channel: u16,
    /// The frame, which borrows from the input.
    pub frame: Frame<&'a [u8]>,
    /// Its length in bytes.
    pub length: usize,
}

/// Decodes the first frame of `input`, without copying its payload.
///
/// `None` if it is incomplete: see [`begun`].
///
/// # Errors
/// [`DecodeError`] if it is malformed, or longer than `limit` and not a transfer.
pub fn first(input: &[u8], limit: u32) -> Result<Option<Received<'_>>, DecodeError> {
    let Some(head) = input.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let (offset, kind) = (usize::from(head[4]) * 4, head[5]);
    let channel = u16::from_be_bytes([head[6], head[7]]);
    if offset < HEADER || length < offset {
        return Err(DecodeError("a frame with a wrong data offset"));
    }
    if kind != 0 {
        return Err(DecodeError("a frame that is not of type AMQP"));
    }
    let code = input.get(offset..offset + TRANSFER.len());
    if length > limit as usize && code.is_some_and(|code| code != TRANSFER) {
        return Err(TOO_LONG);
    }
    let Some(frame) = input.get(offset..length) else {
        return Ok(None);
    };
    let frame = match frame {
        [] => Frame::Empty,
        [0x00, 0x53, 0x14, ..] => {
            let (transfer, start) = transfer(frame)?;
            Frame::Transfer(transfer, &frame[start..])
        }
        [0x00, 0x53, 0x15, fields @ ..] => Frame::Disposition(match usual::accepted(fields) {
            Some(disposition) => disposition,
            None => disposition(frame)?,
        }),
        [0x00, 0x53, 0x13, ..] => match usual::flow(frame) {
            Some(flow) => Frame::Other(Box::new(FrameBody::Flow(flow))),
            None => other(frame)?,
        },
        _ => other(frame)?,
    };
    Ok(Some(Received {
        channel,
        frame,
        length,
    }))
}

/// The length of the first frame in bytes, once its header begins.
#[must_use]
pub fn length(input: &[u8]) -> Option<usize> {
    let length = input.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*length) as usize)
}

/// The beginning of a transfer frame whose end has not arrived.
#[derive(Debug)]
pub struct Begun<'a> {
    /// Its channel.
    pub channel: u16,
    /// Its fields.
    pub transfer: Transfer<&'a [u8]>,
    /// What has arrived of its part of the message.
    pub payload: &'a [u8],
    /// How many bytes of the frame have not arrived.
    pub missing: usize,
}

/// Decodes the beginning of an incomplete frame, as [`first`] found it.
///
/// `None` if it is no transfer, or if its fields are not complete.
///
/// # Errors
/// [`DecodeError`] if it is malformed.
pub fn begun(input: &[u8]) -> Result<Option<Begun<'_>>, DecodeError> {
    let (Some(head), Some(length)) = (input.first_chunk::<HEADER>(), length(input)) else {
        return Ok(None);
    };
    let Some(body) = input.get(usize::from(head[4]) * 4..) else {
        return Ok(None);
    };
    let fields = match body {
        [0x00, 0x53, 0x14, 0xc0, size, ..] => 5 + usize::from(*size),
        [0x00, 0x53, 0x14, 0xd0, a, b, c, d, ..] => {
            (u32::from_be_bytes([*a, *b, *c, *d]) as usize).saturating_add(8)
        }
        _ => return Ok(None),
    };
    if body.len() < fields {
        return Ok(None);
    }
    let (transfer, start) = transfer(body)?;
    Ok(Some(Begun {
        channel: u16::from_be_bytes([head[6], head[7]]),
        transfer,
        payload: &body[start..],
        missing: length.saturating_sub(input.len()),
    }))
}

/// Decodes all frames that are not exchanged once per job, with fe2o3-amqp's codec.
fn other(body: &[u8]) -> Result<Frame<&[u8]>, DecodeError> {
    check_performative(body)?;
    // Its decoder expects the frame header without the length.
    let mut whole = BytesMut::with_capacity(body.len() + 4);
    whole.extend_from_slice(&[2, 0, 0, 0]);
    whole.extend_from_slice(body);
    mend(&mut whole[4..]);
    match (FrameDecoder {}).decode(&mut whole) {
        Ok(Some(frame)) => match frame.into_body() {
            // Written in another form than ours; its fields are the same.
            FrameBody::Transfer { .. } => {
                let (transfer, start) = transfer(body)?;
                Ok(Frame::Transfer(transfer, &body[start..]))
            }
            body => Ok(Frame::Other(Box::new(body))),
        },
        _ => Err(DecodeError("a performative that cannot be decoded")),
    }
}

fn fields(body: &[u8]) -> Result<(Items<'_>, usize), DecodeError> {
    let mut reader = Reader::new(body);
    reader.descriptor()?;
    match reader.value()? {
        Value::List(items) => Ok((items, body.len() - reader.rest().len())),
        _ => Err(DecodeError("a performative that is not a list")),
    }
}

fn transfer(body: &[u8]) -> Result<(Transfer<&[u8]>, usize), DecodeError> {
    let (items, end) = fields(body)?;
    let mut transfer = Transfer::default();
    for (index, item) in items.enumerate() {
        match (index, item?) {
            (0, item) => transfer.handle = id(item).ok_or(DecodeError("a wrong handle"))?,
            (1, item) => transfer.delivery_id = id(item),
            (2, Value::Binary(tag)) => transfer.delivery_tag = tag,
            (4, item) => transfer.settled = matches!(item, Value::Bool(true)),
            (5, item) => transfer.more = matches!(item, Value::Bool(true)),
            (9, item) => transfer.aborted = matches!(item, Value::Bool(true)),
            _ => {}
        }
    }
    Ok((transfer, end))
}

fn disposition(body: &[u8]) -> Result<Disposition, DecodeError> {
    let (items, _) = fields(body)?;
    let mut from_receiver = false;
    let (mut first, mut last, mut settled, mut state) = (None, None, false, None);
    for (index, item) in items.enumerate() {
        match (index, item?) {
            (0, item) => from_receiver = matches!(item, Value::Bool(true)),
            (1, item) => first = id(item),
            (2, item) => last = id(item),
            (3, item) => settled = matches!(item, Value::Bool(true)),
            (4, Value::Described(code, bytes)) => state = Some(delivery_state(code, bytes)?),
            _ => {}
        }
    }
    let first = first.ok_or(DecodeError("a disposition without its first delivery"))?;
    let last = last.unwrap_or(first);
    if !usual::is_range(first, last) {
        return Err(DecodeError(
            "a disposition whose end is before its beginning",
        ));
    }
    Ok(Disposition {
        from_receiver,
        first,
        last,
        settled,
        state,
    })
}

fn id(item: Value<'_>) -> Option<u32> {
    item.as_uint().and_then(|number| u32::try_from(number).ok())
}

fn delivery_state(code: u64, bytes: &[u8]) -> Result<State, DecodeError> {
    Ok(match code {
        0x24 => State::Accepted,
        0x25 => State::Rejected(match Reader::new(bytes).value()? {
            Value::List(mut items) => match items.next().transpose()? {
                Some(Value::Described(0x1d, error)) => condition(error)?,
                _ => None,
            },
            _ => None,
        }),
        0x26 => State::Released,
        0x27 => State::Modified,
        _ => State::Other,
    })
}

fn condition(error: &[u8]) -> Result<Option<(String, Option<String>)>, DecodeError> {
    let Value::List(mut items) = Reader::new(error).value()? else {
        return Ok(None);
    };
    let mut text = || -> Result<Option<String>, DecodeError> {
        let bytes = items.next().transpose()?.and_then(|item| item.as_name());
        Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    };
    let (condition, description) = (text()?, text()?);
    Ok(condition.map(|condition| (condition, description)))
}

/// Encodes a frame around the bytes that `body` writes.
pub fn encode(out: &mut Vec<u8>, channel: u16, body: impl FnOnce(&mut Vec<u8>)) {
    encode_head(out, channel, 0, body);
}

/// Encodes the beginning of a frame that ends with `more` bytes, which the caller writes.
fn encode_head(out: &mut Vec<u8>, channel: u16, more: usize, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, 2, 0]);
    out.extend_from_slice(&channel.to_be_bytes());
    body(out);
    let length = (out.len() - start + more) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Encodes a frame with any performative.
///
/// # Errors
/// [`DecodeError`] if it cannot be serialized.
pub fn encode_performative(
    out: &mut Vec<u8>,
    channel: u16,
    performative: &impl Serialize,
) -> Result<(), DecodeError> {
    let bytes = serde_amqp::to_vec(performative)
        .map_err(|_| DecodeError("a performative that cannot be written"))?;
    encode(out, channel, |out| out.extend_from_slice(&bytes));
    Ok(())
}

/// Encodes a heartbeat.
pub fn encode_empty(out: &mut Vec<u8>) {
    encode(out, 0, |_| ());
}

/// The maximum size of a transfer frame without its payload, in bytes.
pub const TRANSFER_OVERHEAD: usize = HEADER + 32;

/// Fields that only the first frame of a delivery has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct First {
    /// delivery-id, from which the delivery-tag is made.
    pub delivery_id: u32,
    /// Sent settled: no outcome will follow.
    pub settled: bool,
    /// message-format; 0 is AMQP's own.
    pub format: u32,
}

/// Encodes one transfer frame. Pass `first` for the first frame of a delivery.
pub fn encode_transfer(
    out: &mut Vec<u8>,
    channel: u16,
    handle: u32,
    first: Option<First>,
    more: bool,
    payload: &[u8],
) {
    encode_transfer_head(out, channel, handle, first, more, payload.len());
    out.extend_from_slice(payload);
}

/// Encodes one transfer frame without its payload of `length` bytes, which the caller writes.
pub fn encode_transfer_head(
    out: &mut Vec<u8>,
    channel: u16,
    handle: u32,
    first: Option<First>,
    more: bool,
    length: usize,
) {
    encode_head(out, channel, length, |out| {
        write::descriptor(out, 0x14);
        out.push(0xc0);
        let size = out.len();
        out.extend_from_slice(&[0, 6]);
        write::uint(out, handle);
        match first {
            Some(first) => {
                write::uint(out, first.delivery_id);
                write::binary(out, &first.delivery_id.to_be_bytes());
                write::uint(out, first.format);
                write::bool(out, first.settled);
            }
            None => out.extend_from_slice(&[0x40; 4]),
        }
        write::bool(out, more);
        out[size] = (out.len() - size - 1) as u8;
    });
}

/// Encodes a receiver's disposition of a range; `state` writes the described state.
pub fn encode_disposition(
    out: &mut Vec<u8>,
    channel: u16,
    first: u32,
    last: u32,
    settled: bool,
    state: &[u8],
) {
    encode(out, channel, |out| {
        write::descriptor(out, 0x15);
        write::list(out, |out| {
            write::bool(out, true);
            write::uint(out, first);
            write::uint(out, last);
            write::bool(out, settled);
            out.extend_from_slice(state);
            5
        });
    });
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
