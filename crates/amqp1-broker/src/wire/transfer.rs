//! Outgoing transfers (AMQP 1.0 section 2.7.5), split at the peer's max-frame-size.
//!
//! The performative is encoded by hand, because every message needs one.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::frame;

/// The largest transfer performative, in bytes: descriptor 3, list32 9, handle 5, delivery-id 5,
/// delivery-tag 2 + 32, message-format 5, settled 1, more 1.
const MAX_PERFORMATIVE: usize = 64;

/// An outgoing message: its sections in order. They are copied only once, into the write buffer.
#[derive(Debug)]
pub(crate) struct Payload {
    parts: [Bytes; 3],
}

impl Payload {
    /// Header, message annotations, bare message; each may be empty.
    pub(crate) fn new(header: Bytes, annotations: Bytes, bare: Bytes) -> Self {
        Self {
            parts: [header, annotations, bare],
        }
    }

    /// Bytes not yet sent.
    pub(crate) fn remaining(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// Moves up to `n` bytes to a buffer.
    pub(crate) fn take(&mut self, mut n: usize, out: &mut BytesMut) {
        for part in &mut self.parts {
            let k = n.min(part.len());
            out.put_slice(&part[..k]);
            part.advance(k);
            n -= k;
        }
    }
}

/// Fields that only the first transfer of a delivery has; the following ones have just the handle.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) delivery_id: u32,
    /// At most 32 bytes (section 2.8.7).
    pub(crate) delivery_tag: &'a [u8],
    pub(crate) message_format: u32,
    pub(crate) settled: bool,
}

/// Appends one transfer frame with as much of the payload as fits. Pass `start` for the first frame
/// of a delivery. Returns true if more frames follow.
pub(crate) fn encode(
    out: &mut BytesMut,
    channel: u16,
    handle: u32,
    start: Option<&Start<'_>>,
    payload: &mut Payload,
    max_frame_size: u32,
) -> bool {
    let room = (max_frame_size as usize).saturating_sub(frame::HEADER + MAX_PERFORMATIVE);
    let more = payload.remaining() > room;
    let begin = frame::begin(out, channel);
    performative(out, handle, start, more);
    payload.take(room, out);
    frame::end(out, begin);
    more
}

/// Fields in order: handle, delivery-id, delivery-tag, message-format, settled, more.
fn performative(out: &mut BytesMut, handle: u32, start: Option<&Start<'_>>, more: bool) {
    out.put_slice(&[0x00, 0x53, 0x14, 0xc0, 0, 6]);
    let list = out.len() - 1;
    put_uint(out, handle);
    match start {
        Some(start) => {
            put_uint(out, start.delivery_id);
            out.put_slice(&[0xa0, start.delivery_tag.len() as u8]);
            out.put_slice(start.delivery_tag);
            put_uint(out, start.message_format);
            put_bool(out, start.settled);
        }
        None => out.put_slice(&[0x40, 0x40, 0x40, 0x40]),
    }
    put_bool(out, more);
    let size = (out.len() - list) as u8;
    if let Some(field) = out.get_mut(list - 1) {
        *field = size;
    }
}

fn put_uint(out: &mut BytesMut, value: u32) {
    match value {
        0 => out.put_u8(0x43),
        1..=255 => out.put_slice(&[0x52, value as u8]),
        _ => {
            out.put_u8(0x70);
            out.put_u32(value);
        }
    }
}

fn put_bool(out: &mut BytesMut, value: bool) {
    out.put_u8(if value { 0x41 } else { 0x42 });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use fe2o3_amqp_types::performatives::Performative;

    use super::*;

    fn payload(octets: usize) -> Payload {
        let body: Vec<u8> = (0..octets).map(|i| i as u8).collect();
        Payload::new(
            Bytes::from_static(b"he"),
            Bytes::from_static(b"an"),
            body.into(),
        )
    }

    #[test]
    fn a_small_message_is_one_frame() {
        let mut out = BytesMut::new();
        let start = Start {
            delivery_id: u32::MAX,
            delivery_tag: &[7; 32],
            message_format: 0x8001_3700,
            settled: true,
        };
        assert!(!encode(
            &mut out,
            3,
            u32::MAX,
            Some(&start),
            &mut payload(10),
            512
        ));
        let frame = frame::decode(frame::split(&mut out, 512).unwrap().unwrap()).unwrap();
        assert!(out.is_empty());
        let Some(Performative::Transfer(t)) = frame.performative else {
            panic!("not a transfer");
        };
        assert_eq!((t.handle.0, t.delivery_id), (u32::MAX, Some(u32::MAX)));
        assert_eq!(t.delivery_tag.unwrap().as_slice(), [7; 32]);
        assert_eq!(
            (t.message_format, t.settled),
            (Some(0x8001_3700), Some(true))
        );
        assert!(!t.more);
        assert_eq!(
            &frame.payload[..],
            b"hean\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09"
        );
    }

    #[test]
    fn a_large_message_is_split_below_max_frame_size() {
        let (mut out, mut payload) = (BytesMut::new(), payload(5000));
        let start = Start {
            delivery_id: 1,
            delivery_tag: &[1],
            message_format: 0,
            settled: false,
        };
        let mut first = Some(&start);
        while encode(&mut out, 0, 0, first.take(), &mut payload, 512) {}
        let mut got = Vec::new();
        let mut more = true;
        while let Some(bytes) = frame::split(&mut out, 512).unwrap() {
            assert!(more, "a frame behind the last one");
            let frame = frame::decode(bytes).unwrap();
            let Some(Performative::Transfer(t)) = frame.performative else {
                panic!("not a transfer");
            };
            assert_eq!(t.delivery_id.is_some(), got.is_empty());
            more = t.more;
            got.extend_from_slice(&frame.payload);
        }
        assert!(!more);
        assert_eq!(got.len(), 5004);
    }
}
