//! AMQP frames (AMQP 1.0 part 2, section 2.3): split off the read buffer, appended to the write
//! buffer.
//!
//! The performatives are those of `fe2o3-amqp-types`, but not its `FrameDecoder`. That decoder
//! reads through an `io::Read` adapter, which allocates whatever a length claims and copies the
//! data, and it accepts any bytes after the performative unchecked.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use fe2o3_amqp_types::performatives::Performative;
use serde::Serialize;
use serde_amqp::ser::Serializer;

use super::{scan, unknown};

/// Size of a frame header without an extended header, in bytes.
pub(crate) const HEADER: usize = 8;
/// The frame type of AMQP frames; SASL's is 1.
const TYPE_AMQP: u8 = 0;
/// The smallest max-frame-size a peer may set (section 2.7.1).
pub(crate) const MIN_MAX_FRAME_SIZE: u32 = 512;

/// A frame of the AMQP type.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) channel: u16,
    /// `None` for an empty frame, which is a heartbeat.
    pub(crate) performative: Option<Performative>,
    /// The bytes after the performative: a transfer's part of the message.
    pub(crate) payload: Bytes,
    /// Names a part of the performative that was left out because its type is unknown; see
    /// [`unknown`].
    pub(crate) unknown: Option<String>,
}

/// Why the bytes are not a frame. Either variant ends the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// `amqp:connection:framing-error`: size, offset or type is invalid.
    Framing(&'static str),
    /// `amqp:decode-error`: the frame's body is not a performative.
    Decode(String),
}

/// Splits the next complete frame, header included, off the read buffer; `None` if it is
/// incomplete.
pub(crate) fn split(buf: &mut BytesMut, max_frame_size: u32) -> Result<Option<Bytes>, FrameError> {
    let Some(size) = buf.first_chunk::<4>() else {
        return Ok(None);
    };
    let size = u32::from_be_bytes(*size);
    if size < HEADER as u32 {
        return Err(FrameError::Framing("a frame is shorter than its header"));
    }
    if size > max_frame_size {
        return Err(FrameError::Framing("a frame is larger than max-frame-size"));
    }
    let size = size as usize;
    if buf.len() < size {
        buf.reserve(size - buf.len());
        return Ok(None);
    }
    Ok(Some(buf.split_to(size).freeze()))
}

/// Decodes a complete AMQP frame that [`split`] returned.
pub(crate) fn decode(mut frame: Bytes) -> Result<Frame, FrameError> {
    let &[_, _, _, _, doff, kind, high, low] = frame
        .first_chunk::<HEADER>()
        .ok_or(FrameError::Framing("a frame is shorter than its header"))?;
    if kind != TYPE_AMQP {
        return Err(FrameError::Framing("not an AMQP frame"));
    }
    let start = usize::from(doff) * 4;
    if start < HEADER || start > frame.len() {
        return Err(FrameError::Framing("the data offset is outside the frame"));
    }
    frame.advance(start);
    let channel = u16::from_be_bytes([high, low]);
    if frame.is_empty() {
        return Ok(Frame {
            channel,
            performative: None,
            payload: frame,
            unknown: None,
        });
    }
    let end = scan::check(&frame, 0)
        .map_err(|_| FrameError::Decode("the frame body is not an AMQP value".into()))?;
    let body = &frame[..end];
    let (performative, unknown) = match serde_amqp::from_slice(body) {
        Ok(performative) => (performative, None),
        Err(e) => {
            let text = || FrameError::Decode(format!("the frame body is no performative: {e}"));
            let (performative, what) = unknown::left_out(body).ok_or_else(text)?;
            (performative, Some(what))
        }
    };
    frame.advance(end);
    Ok(Frame {
        channel,
        performative: Some(performative),
        payload: frame,
        unknown,
    })
}

/// Appends a frame with the given body. If encoding fails, nothing is appended.
pub(crate) fn encode(
    out: &mut BytesMut,
    channel: u16,
    performative: &impl Serialize,
) -> Result<(), serde_amqp::Error> {
    let start = begin(out, channel);
    let result = performative.serialize(&mut Serializer::from((&mut *out).writer()));
    match result {
        Ok(()) => end(out, start),
        Err(_) => out.truncate(start),
    }
    result
}

/// Appends an empty frame, which is a heartbeat.
pub(crate) fn encode_empty(out: &mut BytesMut) {
    let start = begin(out, 0);
    end(out, start);
}

/// Appends a frame header; [`end`] fills in the size. Returns where the header begins.
pub(crate) fn begin(out: &mut BytesMut, channel: u16) -> usize {
    let start = out.len();
    out.put_u32(0);
    out.put_u8(2);
    out.put_u8(TYPE_AMQP);
    out.put_u16(channel);
    start
}

/// Writes the size of the frame that began at `start` and ends here.
pub(crate) fn end(out: &mut BytesMut, start: usize) {
    let size = (out.len() - start) as u32;
    if let Some(field) = out.get_mut(start..start + 4) {
        field.copy_from_slice(&size.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use fe2o3_amqp_types::performatives::{Close, Open};

    use super::*;

    fn open() -> Open {
        Open {
            container_id: "c".into(),
            hostname: None,
            max_frame_size: Default::default(),
            channel_max: Default::default(),
            idle_time_out: None,
            outgoing_locales: None,
            incoming_locales: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        }
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let mut buf = BytesMut::new();
        encode(&mut buf, 7, &open()).unwrap();
        encode_empty(&mut buf);
        let first = decode(split(&mut buf, 4096).unwrap().unwrap()).unwrap();
        assert_eq!(first.channel, 7);
        assert!(matches!(first.performative, Some(Performative::Open(o)) if o.container_id == "c"));
        let second = decode(split(&mut buf, 4096).unwrap().unwrap()).unwrap();
        assert!(second.performative.is_none());
        assert_eq!(split(&mut buf, 4096), Ok(None));
    }

    #[test]
    fn an_extended_header_is_passed_over() {
        let mut plain = BytesMut::new();
        encode(&mut plain, 0, &Close { error: None }).unwrap();
        let mut extended = BytesMut::new();
        extended.put_u32(plain.len() as u32 + 4);
        extended.put_slice(&[3, 0, 0, 0, 9, 9, 9, 9]);
        extended.put_slice(&plain[8..]);
        let frame = decode(split(&mut extended, 4096).unwrap().unwrap()).unwrap();
        assert!(matches!(frame.performative, Some(Performative::Close(_))));
    }

    #[test]
    fn sizes_that_cannot_be_right_are_framing_errors() {
        for size in [0u32, 7, 4097, u32::MAX] {
            let mut buf = BytesMut::new();
            buf.put_u32(size);
            buf.put_slice(&[2, 0, 0, 0]);
            assert!(
                matches!(split(&mut buf, 4096), Err(FrameError::Framing(_))),
                "{size}"
            );
        }
        let outside = Bytes::from_static(&[0, 0, 0, 8, 9, 0, 0, 0]);
        assert!(matches!(decode(outside), Err(FrameError::Framing(_))));
    }

    /// The decoder may refuse any input, but it must return without a panic.
    #[test]
    fn damaged_frames_never_panic() {
        let mut buf = BytesMut::new();
        encode(&mut buf, 0, &open()).unwrap();
        let whole = buf.freeze();
        for at in 8..whole.len() {
            for value in [
                0x00, 0x01, 0x40, 0x45, 0x70, 0x80, 0xa0, 0xb1, 0xc0, 0xd0, 0xf0, 0xff,
            ] {
                let mut damaged = BytesMut::from(&whole[..]);
                damaged[at] = value;
                let _ = decode(damaged.freeze());
            }
        }
    }
}
