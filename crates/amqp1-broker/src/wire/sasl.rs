//! SASL frames (AMQP 1.0 part 5, section 5.3) and protocol headers (section 2.2).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use fe2o3_amqp::frames::sasl::{Frame, FrameCodec};
use fe2o3_amqp::transport::protocol_header::ProtocolHeader;
use tokio_util::codec::{Decoder, Encoder};

use super::frame::{FrameError, HEADER};
use super::scan;

/// Size of a protocol header, in bytes.
pub(crate) const PROTOCOL_HEADER: usize = 8;

/// The largest SASL frame, in bytes (section 5.3.1: MIN-MAX-FRAME-SIZE).
pub(crate) const MAX_FRAME_SIZE: u32 = 512;

/// Appends a protocol header.
pub(crate) fn put_protocol_header(out: &mut BytesMut, header: ProtocolHeader) {
    out.put_slice(&<[u8; PROTOCOL_HEADER]>::from(header));
}

/// Takes a protocol header off the read buffer; `None` if it is incomplete. The error has the bytes
/// if they are not a header of AMQP 1.0.0.
pub(crate) fn take_protocol_header(
    buf: &mut BytesMut,
) -> Option<Result<ProtocolHeader, [u8; PROTOCOL_HEADER]>> {
    let bytes = *buf.first_chunk::<PROTOCOL_HEADER>()?;
    buf.advance(PROTOCOL_HEADER);
    Some(match ProtocolHeader::try_from(bytes) {
        Ok(header) if (header.major, header.minor, header.revision) == (1, 0, 0) => Ok(header),
        _ => Err(bytes),
    })
}

/// Decodes a complete SASL frame.
pub(crate) fn decode(frame: &Bytes) -> Result<Frame, FrameError> {
    // The codec reads the header without checking that there is one.
    let body = frame.get(HEADER..).ok_or(FrameError::Framing(
        "a SASL frame is shorter than its header",
    ))?;
    let end = scan::check(body, 0).map_err(|_| FrameError::Decode("not an AMQP value".into()))?;
    // The codec would read on into bytes that were not checked.
    if end != body.len() {
        return Err(FrameError::Framing("octets after a SASL frame's body"));
    }
    let mut rest = BytesMut::from(&frame[4..]);
    match (FrameCodec {}).decode(&mut rest) {
        Ok(Some(frame)) => Ok(frame),
        Ok(None) => Err(FrameError::Framing("an empty SASL frame")),
        Err(e) => Err(FrameError::Decode(format!("no SASL frame: {e:?}"))),
    }
}

/// Appends a SASL frame.
pub(crate) fn encode(out: &mut BytesMut, frame: Frame) -> Result<(), FrameError> {
    let start = out.len();
    out.put_u32(0);
    FrameCodec {}.encode(frame, out).map_err(|e| {
        out.truncate(start);
        FrameError::Decode(format!("a SASL frame was not encoded: {e:?}"))
    })?;
    super::frame::end(out, start);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn short_or_foreign_sasl_frames_are_errors() {
        for bytes in [
            &[0u8, 0, 0, 8, 2, 1, 0, 0][..],
            &[0, 0, 0, 9, 2, 1, 0, 0, 0x40],
            &[0, 0, 0, 11, 2, 0, 0, 0, 0x00, 0x53, 0x41],
            // Not a described list but a number, with a count that overflows when anything is
            // added.
            &[
                0, 0, 0, 0x16, 2, 1, 0, 0, 0x53, 0x41, 0x00, 0xd0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
                0xff, 0xff, 0xff,
            ],
        ] {
            assert!(decode(&Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn only_version_1_0_0_is_taken() {
        let mut buf = BytesMut::from(&b"AMQP\x00\x01\x00\x00AMQP\x00\x00\x09\x01HTTP/1.1"[..]);
        assert!(matches!(take_protocol_header(&mut buf), Some(Ok(h)) if h.is_amqp()));
        assert!(matches!(take_protocol_header(&mut buf), Some(Err(_))));
        assert!(matches!(take_protocol_header(&mut buf), Some(Err(b)) if &b == b"HTTP/1.1"));
        assert!(take_protocol_header(&mut buf).is_none());
    }
}
