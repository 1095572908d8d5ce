//! Moves a connection's bytes and runs its timers: heartbeats, idle timeout, handshake, and the
//! work that its engine has scheduled.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use crate::amqp::endpoint::{Endpoint, Stage};
use crate::clock::now;
use crate::error::Error;
use crate::wire::frame;

/// Size of the write buffer, in bytes, from which no more messages are added.
pub(crate) const OUT_ROOM: usize = 256 * 1024;
/// Size of the write buffer, in bytes, from which nothing more is read: the peer must read first.
const OUT_FULL: usize = 1024 * 1024;
/// Bytes to read at once.
const READ: usize = 64 * 1024;
/// How long the peer may take to answer the broker's close, and to read the last bytes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest sleep: engines use the wall clock, which may be changed in the meantime.
const MAX_SLEEP: Duration = Duration::from_secs(60);

/// Stands for a time beyond the clock's range.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// A peer's time limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// Between two frames, as announced to the peer; zero: no limit.
    pub(crate) idle: Duration,
    /// From connecting to sending its open.
    pub(crate) handshake: Duration,
}

/// A connection's protocol without the stream: bytes go in, bytes come out.
pub(crate) trait Engine: Send {
    /// Handles the input, does the work that is due, and writes the output.
    fn turn(&mut self, input: &mut BytesMut);
    /// The connection's own state.
    fn endpoint(&self) -> &Endpoint;
    fn endpoint_mut(&mut self) -> &mut Endpoint;
    fn timeouts(&self) -> Timeouts;
    /// Called when the peer was silent for too long.
    fn on_silence(&mut self);
    /// Whether something waits only for room in the write buffer.
    fn has_unwritten(&self) -> bool;

    /// The output buffer.
    fn out(&mut self) -> &mut BytesMut {
        &mut self.endpoint_mut().out
    }

    fn stage(&self) -> Stage {
        self.endpoint().stage()
    }
}

/// The times of the latest events.
#[derive(Debug)]
struct Times {
    accepted: Instant,
    read: Instant,
    written: Instant,
    /// When the connection began to close, or ended.
    closing: Option<Instant>,
}

/// Serves the stream until the connection ends.
pub(crate) async fn run<S>(mut engine: Box<dyn Engine>, stream: S) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut input = BytesMut::with_capacity(READ);
    let start = Instant::now();
    let mut times = Times {
        accepted: start,
        read: start,
        written: start,
        closing: None,
    };
    let waker = engine.endpoint().waker();
    let mut is_flushed = true;
    loop {
        engine.turn(&mut input);
        while engine.has_unwritten() && engine.out().len() < OUT_ROOM {
            engine.turn(&mut input);
        }
        times.watch(&mut *engine);
        let is_ended = engine.stage() == Stage::Ended;
        if is_ended && engine.out().is_empty() && is_flushed {
            break;
        }
        let wake_at = times.wake_at(&mut *engine);
        let may_read = engine.out().len() < OUT_FULL && !is_ended;
        if input.capacity() - input.len() < READ / 4 {
            input.reserve(READ);
        }
        tokio::select! {
            written = write_some(&mut writer, engine.out()), if !engine.out().is_empty() || !is_flushed => {
                let written = written?;
                is_flushed = written == 0;
                engine.out().advance(written);
                times.written = Instant::now();
            }
            read = reader.read_buf(&mut input), if may_read => {
                if read? == 0 {
                    return at_end(engine);
                }
                times.read = Instant::now();
            }
            () = waker.notified() => {}
            () = tokio::time::sleep_until(wake_at) => {}
        }
    }
    // The peer sees the end of the stream after the last byte.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, writer.shutdown()).await;
    engine.endpoint_mut().take_failure().map_or(Ok(()), Err)
}

/// Handles the end of the peer's stream.
fn at_end(mut engine: Box<dyn Engine>) -> Result<(), Error> {
    match (engine.endpoint_mut().take_failure(), engine.stage()) {
        (Some(failure), _) => Err(failure),
        (None, Stage::Closing | Stage::Ended) => Ok(()),
        (None, _) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
    }
}

impl Times {
    /// Acts on the timers that have expired.
    fn watch(&mut self, engine: &mut dyn Engine) {
        let at = Instant::now();
        match engine.stage() {
            Stage::Handshake => {
                if at >= self.handshake_ends(engine) {
                    let reason = Error::Negotiation("the handshake took too long".into());
                    engine.endpoint_mut().end(Some(reason));
                }
            }
            Stage::Open => {
                if self.silence_ends(engine).is_some_and(|end| at >= end) {
                    engine.on_silence();
                } else if engine.out().is_empty()
                    && self.heartbeat_at(engine).is_some_and(|due| at >= due)
                {
                    frame::encode_empty(engine.out());
                }
            }
            Stage::Closing | Stage::Ended => {}
        }
        if matches!(engine.stage(), Stage::Closing | Stage::Ended) {
            let since = *self.closing.get_or_insert(at);
            if at >= since + CLOSE_TIMEOUT {
                // The broker does not wait for a peer that no longer reads.
                engine.endpoint_mut().end(None);
                engine.out().clear();
            }
        }
    }

    fn handshake_ends(&self, engine: &dyn Engine) -> Instant {
        later(self.accepted, engine.timeouts().handshake)
    }

    /// When the peer has been silent for too long: after twice the announced time.
    fn silence_ends(&self, engine: &dyn Engine) -> Option<Instant> {
        let timeout = engine.timeouts().idle;
        (!timeout.is_zero()).then(|| later(self.read, timeout.saturating_mul(2)))
    }

    /// When the peer must receive something: after half of its idle timeout.
    fn heartbeat_at(&self, engine: &dyn Engine) -> Option<Instant> {
        let timeout = engine.endpoint().peer_idle_timeout();
        timeout.map(|timeout| self.written + timeout / 2)
    }

    fn wake_at(&self, engine: &mut dyn Engine) -> Instant {
        let mut at = match engine.stage() {
            Stage::Handshake => self.handshake_ends(engine),
            Stage::Open => Instant::now() + MAX_SLEEP,
            Stage::Closing | Stage::Ended => {
                self.closing.unwrap_or_else(Instant::now) + CLOSE_TIMEOUT
            }
        };
        if engine.stage() == Stage::Open {
            let is_quiet = engine.out().is_empty();
            let heartbeat = self.heartbeat_at(engine).filter(|_| is_quiet);
            for due in [self.silence_ends(engine), heartbeat].into_iter().flatten() {
                at = at.min(due);
            }
        }
        if let Some(due) = engine.endpoint().next_due {
            let wait = Duration::from_millis(due.saturating_sub(now()));
            at = at.min(Instant::now() + wait.min(MAX_SLEEP));
        }
        at
    }
}

/// Adds a duration, or the longest one that the clock can hold.
fn later(at: Instant, wait: Duration) -> Instant {
    at.checked_add(wait).unwrap_or(at + FAR)
}

/// Writes as much as fits. If there is nothing to write, flushes and returns 0. Cancel-safe.
async fn write_some<W>(writer: &mut W, out: &BytesMut) -> io::Result<usize>
where
    W: AsyncWrite + Unpin,
{
    if out.is_empty() {
        writer.flush().await?;
        return Ok(0);
    }
    match writer.write(out).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        n => Ok(n),
    }
}
