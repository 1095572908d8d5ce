//! Entries for the fuzz targets (`fuzz/`): what is private, fed with any bytes.
//!
//! Compiled with the feature `fuzzing` only. Everything here returns, or panics
//! where a promise is broken.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::borrow::Cow;
use std::future::Future;
use std::pin::{pin, Pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use crate::config::fuzzing::configuration;
pub use crate::connection::fuzzing::connection;
use crate::connection::fuzzing::shake_hands;
use crate::dialect::PropertyMapping;
use crate::endpoint::Endpoint;
use crate::format::roadrunner::{self, DelayMark, Envelope};
use crate::format::{self, body, Decoded};
use crate::job::{HeaderValue, Job, JobOptions, Payload};
use crate::options::QueueOptions;
use crate::wire::frame::{self, Frame, State};
use crate::wire::read::{check_nesting, Reader};

/// Reads choices off the fuzzer's bytes; zero when they are used up.
#[derive(Debug)]
pub(crate) struct Choices<'a>(pub &'a [u8]);

impl<'a> Choices<'a> {
    pub fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// Small numbers mostly, those at the edges of 32 bits sometimes.
    pub fn number(&mut self) -> u32 {
        match self.byte() {
            small if small < 200 => u32::from(small) % 16,
            edge if edge < 225 => u32::MAX - u32::from(edge - 200),
            edge if edge < 235 => (1 << 31) - u32::from(edge - 225),
            _ => u32::from_be_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    pub fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        front
    }

    fn text(&mut self) -> String {
        let length = usize::from(self.byte() % 40);
        String::from_utf8_lossy(self.bytes(length)).into_owned()
    }

    fn optional(&mut self) -> Option<String> {
        (self.byte() % 2 == 0).then(|| self.text())
    }
}

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

/// What was decoded, written by us, is decoded the same.
fn again(channel: u16, frame: &Frame) {
    let mut out = Vec::new();
    match frame {
        Frame::Transfer(transfer, payload) => {
            let delivery = transfer.delivery_id.map(|id| (id, transfer.settled));
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

/// A broker that reads everything and says what it has to say in pieces.
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
    // The stream is always ready, so the talk is over when it was polled once.
    match talk.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(remote)) => assert!(remote.max_frame_size >= 512),
        Poll::Ready(Err(error)) => assert!(!error.message().contains("S3cret"), "{error}"),
        Poll::Pending => panic!("the handshake waits for nothing"),
    }
}

/// A message of any producer, as a worker reads it.
pub fn message(data: &[u8]) {
    let Ok(decoded) = format::decode(Bytes::copy_from_slice(data), PropertyMapping::Generic) else {
        return;
    };
    assert!(!decoded.name.is_empty() && !decoded.id.is_empty());
    // JSON is at most so much longer than what it was made of.
    assert!(
        decoded.body.len() <= data.len() * 128 + 64,
        "the body has grown from {} to {} bytes",
        data.len(),
        decoded.body.len()
    );
    for (_, values) in decoded.headers() {
        assert!(!values.is_empty());
    }
}

/// Any value, by the readers of values.
pub fn values(data: &[u8]) {
    let mut reader = Reader::new(data);
    let Ok(value) = reader.value() else {
        return;
    };
    let _ = check_nesting(data);
    let _ = body::json(value);
    let _ = body::text(value);
    let mut skipped = Reader::new(data);
    if let Ok(bytes) = skipped.skip() {
        assert_eq!(bytes.len(), data.len() - skipped.rest().len());
        assert_eq!(skipped.rest(), reader.rest());
    }
}

/// A job that is written and read is the same job.
pub fn round_trip(data: &[u8]) {
    let mut choices = Choices(data);
    let headers: Vec<(Cow<'_, str>, HeaderValue<'_>)> = (0..choices.byte() % 4)
        .map(|_| (Cow::Owned(choices.text()), header(&mut choices, true)))
        .collect();
    let (id, name, pipeline) = (choices.text(), choices.text(), choices.text());
    let (trace, group, to) = (choices.optional(), choices.optional(), choices.optional());
    let flags = choices.byte();
    let delay = Duration::from_millis(u64::from(choices.number()));
    let envelope = Envelope {
        id: &id,
        pipeline: &pipeline,
        durable: flags & 1 != 0,
        priority: (flags & 2 != 0).then(|| choices.byte()),
        ttl: (flags & 4 != 0).then(|| Duration::from_millis(u64::from(choices.number()))),
        expires_at: (flags & 8 != 0).then(|| i64::from(choices.number())),
        delay,
        delay_mark: [DelayMark::None, DelayMark::XDelay, DelayMark::EnqueueTime]
            [usize::from(flags >> 6) % 3],
        to: to.as_deref(),
        routing_key: None,
    };
    let job = Job {
        name: Cow::Borrowed(&name),
        payload: Payload {
            bytes: Cow::Borrowed(choices.0),
            json: flags & 16 != 0,
        },
        options: JobOptions {
            headers,
            trace_id: trace.as_deref().map(Cow::Borrowed),
            group: group.as_deref().map(Cow::Borrowed),
            auto_ack: Some(flags & 32 != 0),
            ..JobOptions::default()
        },
    };
    let encoded = roadrunner::encode(&job, &envelope);
    let read = format::decode(encoded, PropertyMapping::RabbitMq).expect("what we write");
    same(&job, &envelope, &read);
}

fn same(job: &Job<'_>, envelope: &Envelope<'_>, read: &Decoded) {
    if !envelope.id.is_empty() {
        assert_eq!(read.id, envelope.id);
    }
    if !job.name.is_empty() {
        assert_eq!(read.name, job.name);
    }
    assert_eq!(read.pipeline.as_deref(), Some(envelope.pipeline));
    assert_eq!(read.body, job.payload.bytes.as_ref());
    assert_eq!(read.json, job.payload.json);
    assert_eq!(read.trace_id.as_deref(), job.options.trace_id.as_deref());
    assert_eq!(read.group.as_deref(), job.options.group.as_deref());
    assert_eq!(read.durable, envelope.durable);
    assert_eq!(read.expires_at, envelope.expires_at);
    assert_eq!(read.delay, envelope.delay.as_millis() as f64 / 1000.0);
    assert_eq!(
        read.priority,
        Some(i64::from(envelope.priority.unwrap_or(4)))
    );
    assert_eq!(read.earlier_attempts, 0);
    let sent = job.options.headers.iter();
    let sent: Vec<&str> = sent
        .filter(|(_, value)| !matches!(value, HeaderValue::List(values) if values.is_empty()))
        .map(|(name, _)| name.as_ref())
        .filter(|name| *name != roadrunner::ROUTING_KEY_HEADER)
        .collect();
    let headers = read.headers();
    let got: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(got, sent);
}

fn header(choices: &mut Choices<'_>, may_be_list: bool) -> HeaderValue<'static> {
    match choices.byte() % if may_be_list { 5 } else { 4 } {
        0 => HeaderValue::Text(Cow::Owned(choices.text())),
        1 => HeaderValue::Int(i64::from(choices.number())),
        2 => HeaderValue::Float(f64::from(choices.number()) / 3.0),
        3 => HeaderValue::Bool(choices.byte() % 2 == 0),
        _ => HeaderValue::List(
            (0..choices.byte() % 4)
                .map(|_| header(choices, false))
                .collect(),
        ),
    }
}
