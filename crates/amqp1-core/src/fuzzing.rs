//! Entry points for the fuzz targets (`fuzz/`), which feed arbitrary bytes to private code.
//!
//! Compiled only with the feature `fuzzing`. Every function returns, or panics if an invariant is
//! violated.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::future::Future;
use std::pin::{pin, Pin};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::base::choices::Choices;
pub use crate::config::fuzzing::configuration;
pub use crate::connection::fuzzing::connection;
use crate::connection::fuzzing::shake_hands;
use crate::format::body;
pub use crate::format::fuzzing::{envelope, message, round_trip};
use crate::settings::endpoint::Endpoint;
use crate::settings::options::QueueOptions;
use crate::wire::frame::{self, Frame, State};
use crate::wire::guard::check_performative;
use crate::wire::read::Reader;

/// A broker's frames, in pieces of any size.
pub fn frames(data: &[u8]) {
    let mut choices = Choices(data);
    let piece = usize::from(choices.byte()) + 1;
    let limit = 4096;
    let mut input = BytesMut::new();
    for part in choices.0.chunks(piece) {
        input.extend_from_slice(part);
        loop {
            match frame::decode(&mut input, limit) {
                Ok(Some((channel, frame))) => again(channel, &frame),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        assert!(input.len() <= limit as usize, "more is kept than a frame");
    }
}

/// A decoded frame that we encode is decoded as the same frame.
fn again(channel: u16, frame: &Frame) {
    let mut out = Vec::new();
    match frame {
        Frame::Transfer(transfer, payload) => {
            let delivery = transfer.delivery_id.map(|delivery_id| frame::First {
                delivery_id,
                settled: transfer.settled,
                format: 0,
            });
            frame::encode_transfer(
                &mut out,
                channel,
                transfer.handle,
                delivery,
                transfer.more,
                payload,
            );
            let (same, Frame::Transfer(read, rest)) = decoded(&out) else {
                panic!("not a transfer");
            };
            assert_eq!(
                (same, read.handle, read.delivery_id, read.more),
                (
                    channel,
                    transfer.handle,
                    transfer.delivery_id,
                    transfer.more
                )
            );
            assert_eq!(rest, payload);
        }
        Frame::Disposition(disposition) => {
            let accepted = [0x00, 0x53, 0x24, 0x45];
            let (first, last) = (disposition.first, disposition.last);
            frame::encode_disposition(
                &mut out,
                channel,
                first,
                last,
                disposition.settled,
                &accepted,
            );
            let (same, Frame::Disposition(read)) = decoded(&out) else {
                panic!("not a disposition");
            };
            assert_eq!((same, read.first, read.last), (channel, first, last));
            assert_eq!(read.settled, disposition.settled);
            assert_eq!(read.state, Some(State::Accepted));
        }
        Frame::Other(_) | Frame::Empty => {}
    }
}

fn decoded(out: &[u8]) -> (u16, Frame) {
    let mut input = BytesMut::from(out);
    let decoded = frame::decode(&mut input, u32::MAX).expect("what we write");
    assert!(input.is_empty());
    decoded.expect("a whole frame")
}

/// A broker that reads everything and sends its bytes in pieces.
#[derive(Debug)]
struct Script<'a> {
    rest: &'a [u8],
    piece: usize,
}

impl AsyncRead for Script<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let count = self.rest.len().min(buffer.remaining()).min(self.piece);
        let (front, rest) = self.rest.split_at(count);
        buffer.put_slice(front);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A broker's protocol headers, SASL and `open`.
pub fn handshake(data: &[u8]) {
    const DSNS: [&str; 2] = ["amqp://h", "amqp://me:S3cret@h/v"];
    let mut choices = Choices(data);
    let dsn = DSNS[usize::from(choices.byte()) % DSNS.len()];
    let endpoint = Endpoint::parse(dsn, &QueueOptions::default()).unwrap();
    let mut stream = Script {
        piece: usize::from(choices.byte()) + 1,
        rest: choices.0,
    };
    let talk = pin!(shake_hands(&mut stream, &endpoint));
    // The stream is always ready, so one poll finishes the handshake.
    match talk.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(remote)) => assert!(remote.max_frame_size >= 512),
        Poll::Ready(Err(error)) => assert!(!error.message().contains("S3cret"), "{error}"),
        Poll::Pending => panic!("the handshake waits for nothing"),
    }
}

/// Any value, through all value readers.
pub fn values(data: &[u8]) {
    let mut reader = Reader::new(data);
    let Ok(value) = reader.value() else {
        return;
    };
    let _ = check_performative(data);
    let _ = body::text(value);
    let mut skipped = Reader::new(data);
    if let Ok(bytes) = skipped.skip() {
        assert_eq!(bytes.len(), data.len() - skipped.rest().len());
        assert_eq!(skipped.rest(), reader.rest());
    }
}
