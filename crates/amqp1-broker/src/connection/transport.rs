//! Moves a connection's octets, and watches its timers: heartbeats, silence, handshake, and what
//! the store has due.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use fe2o3_amqp_types::definitions::AmqpError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::{Connection, Phase, OUT_FULL, OUT_ROOM};
use crate::broker::now;
use crate::model::errors;
use crate::wire::frame;
use crate::Error;

/// Octets to read at once.
const READ: usize = 64 * 1024;
/// How long the peer's close may take after the broker's, and the last octets to be taken.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest sleep: the store goes by the wall clock, which may be set meanwhile.
const MAX_SLEEP: Duration = Duration::from_secs(60);

/// In place of a time that no clock reaches.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// When what happened last.
#[derive(Debug)]
struct Times {
    accepted: Instant,
    read: Instant,
    written: Instant,
    /// Since when the connection is closing or ended.
    closing: Option<Instant>,
}

impl Connection {
    /// Serves the stream until the connection ends.
    pub(crate) async fn run<S>(mut self, stream: S) -> Result<(), Error>
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
        let mut is_flushed = true;
        loop {
            self.turn(&mut input);
            while self.has_unwritten() && self.out.len() < OUT_ROOM {
                self.turn(&mut input);
            }
            self.watch(&mut times);
            if self.is_ended() && self.out.is_empty() && is_flushed {
                break;
            }
            let wake_at = self.wake_at(&times);
            let waker = self.waker.clone();
            let may_read = self.out.len() < OUT_FULL && !self.is_ended();
            if input.capacity() - input.len() < READ / 4 {
                input.reserve(READ);
            }
            tokio::select! {
                written = write_some(&mut writer, &self.out), if !self.out.is_empty() || !is_flushed => {
                    let written = written?;
                    is_flushed = written == 0;
                    self.out.advance(written);
                    times.written = Instant::now();
                }
                read = reader.read_buf(&mut input), if may_read => {
                    if read? == 0 {
                        return self.at_end();
                    }
                    times.read = Instant::now();
                }
                () = waker.notified() => {}
                () = tokio::time::sleep_until(wake_at) => {}
            }
        }
        // The peer sees the end of the stream behind the last octet.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, writer.shutdown()).await;
        self.failure.take().map_or(Ok(()), Err)
    }

    /// The peer has ended the stream.
    fn at_end(mut self) -> Result<(), Error> {
        match (self.failure.take(), &self.phase) {
            (Some(failure), _) => Err(failure),
            (None, Phase::Closing | Phase::Ended) => Ok(()),
            (None, _) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }

    /// Does what the timers say.
    fn watch(&mut self, times: &mut Times) {
        let at = Instant::now();
        match self.phase {
            Phase::Negotiating(_) | Phase::Opening => {
                if at >= self.handshake_ends(times) {
                    self.failure = Some(Error::Negotiation("the handshake took too long".into()));
                    self.phase = Phase::Ended;
                }
            }
            Phase::Opened => {
                if self.silence_ends(times).is_some_and(|end| at >= end) {
                    let e = errors::error(
                        AmqpError::ResourceLimitExceeded,
                        "the peer was silent for longer than idle-time-out",
                    );
                    let shared = self.shared.clone();
                    let mut state = shared.lock();
                    self.close(e, &mut state.store, now());
                    state.dispatch(now(), Some(self.id));
                } else if self.out.is_empty()
                    && self.heartbeat_at(times).is_some_and(|due| at >= due)
                {
                    frame::encode_empty(&mut self.out);
                }
            }
            Phase::Closing | Phase::Ended => {}
        }
        if matches!(self.phase, Phase::Closing | Phase::Ended) {
            let since = *times.closing.get_or_insert(at);
            if at >= since + CLOSE_TIMEOUT {
                // What the peer does not take is not waited for.
                self.phase = Phase::Ended;
                self.out.clear();
            }
        }
    }

    fn handshake_ends(&self, times: &Times) -> Instant {
        later(times.accepted, self.shared.options.handshake_timeout)
    }

    /// When the peer has been silent for too long: after twice the time it was told.
    fn silence_ends(&self, times: &Times) -> Option<Instant> {
        let timeout = self.shared.options.idle_timeout;
        (!timeout.is_zero()).then(|| later(times.read, timeout.saturating_mul(2)))
    }

    /// When the peer must hear something: after half the time it gives.
    fn heartbeat_at(&self, times: &Times) -> Option<Instant> {
        self.peer
            .idle_timeout
            .map(|timeout| times.written + timeout / 2)
    }

    fn wake_at(&self, times: &Times) -> Instant {
        let mut at = match self.phase {
            Phase::Negotiating(_) | Phase::Opening => self.handshake_ends(times),
            Phase::Opened => Instant::now() + MAX_SLEEP,
            Phase::Closing | Phase::Ended => {
                times.closing.unwrap_or_else(Instant::now) + CLOSE_TIMEOUT
            }
        };
        if matches!(self.phase, Phase::Opened) {
            let heartbeat = self.heartbeat_at(times).filter(|_| self.out.is_empty());
            for due in [self.silence_ends(times), heartbeat].into_iter().flatten() {
                at = at.min(due);
            }
        }
        if let Some(due) = self.next_due {
            let wait = Duration::from_millis(due.saturating_sub(now()));
            at = at.min(Instant::now() + wait.min(MAX_SLEEP));
        }
        at
    }
}

/// As far in the future as there is a clock for.
fn later(at: Instant, wait: Duration) -> Instant {
    at.checked_add(wait).unwrap_or(at + FAR)
}

/// Writes what fits, or flushes when there is nothing to write: 0 then. Cancelling it loses nothing.
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
