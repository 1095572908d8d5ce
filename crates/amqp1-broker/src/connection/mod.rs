//! One connection: the protocol without the stream. Octets go in, octets come out;
//! [`crate::transport`] moves them.

mod attach;
mod incoming;
mod link;
mod outgoing;
mod performatives;
mod requests;
mod session;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use fe2o3_amqp_types::definitions::{AmqpError, ConnectionError, Error as AmqpErrorValue};
use fe2o3_amqp_types::performatives::Close;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use crate::amqp::negotiation::{Negotiation, Progress, Users};
use crate::amqp::routes::Routes;
use crate::broker::{now, Shared};
use crate::connection::session::{Context, Fault, Session};
use crate::model::consumers::LinkId;
use crate::model::errors;
use crate::model::queue::Sequence;
use crate::model::store::{ConnectionId, Event, Store};
use crate::transport::{self, Engine, Stage, OUT_ROOM};
use crate::wire::frame::{self, Frame, FrameError};
use crate::Error;

/// How far a connection is.
#[derive(Debug)]
enum Phase {
    Negotiating(Negotiation),
    /// The peer's open is awaited.
    Opening,
    Opened,
    /// The broker has sent its close, the peer not yet.
    Closing,
    /// What is written is sent, then the stream ends.
    Ended,
}

/// What the peer's open says.
#[derive(Debug, Clone, Copy)]
struct Peer {
    max_frame_size: u32,
    /// After which silence the peer gives up.
    idle_timeout: Option<Duration>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
    id: ConnectionId,
    waker: Arc<Notify>,
    phase: Phase,
    peer: Peer,
    out: BytesMut,
    /// By channel, which is one number for both directions.
    sessions: BTreeMap<u16, Session>,
    routes: Routes,
    /// The session that may write first next time.
    first_session: u16,
    /// Deliveries that were sent and that the store has not been told of.
    sent: Vec<(LinkId, Sequence)>,
    /// When the store has something to do, Unix milliseconds.
    next_due: Option<u64>,
    /// What the connection ends with, when it is not an orderly close.
    failure: Option<Error>,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let waker = Arc::new(Notify::new());
        let id = shared.lock().connect(waker.clone());
        Self {
            shared,
            id,
            waker,
            phase: Phase::Negotiating(Negotiation::new()),
            peer: Peer {
                max_frame_size: frame::MIN_MAX_FRAME_SIZE,
                idle_timeout: None,
            },
            out: BytesMut::new(),
            sessions: BTreeMap::new(),
            routes: Routes::default(),
            first_session: 0,
            sent: Vec::new(),
            next_due: None,
            failure: None,
        }
    }

    /// Serves the stream until the connection ends.
    pub(crate) async fn run<S>(self, stream: S) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        transport::run(self, stream).await
    }

    fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    fn take_turn(&mut self, input: &mut BytesMut) {
        let frames = self.take_frames(input);
        let shared = self.shared.clone();
        let mut guard = shared.lock();
        let state = &mut *guard;
        let now = now();
        for (link, sequence) in self.sent.drain(..) {
            state.store.sent(link, sequence);
        }
        // Events of earlier batches first: frames refer to what was sent before them.
        self.absorb(&mut state.store, now);
        for result in frames {
            match result {
                Ok(frame) => self.on_frame(frame, &mut state.store, now),
                Err(e) => self.on_malformed(e, &mut state.store, now),
            }
        }
        if self.shared.is_shut_down() {
            let e = errors::error(ConnectionError::ConnectionForced, "the broker shuts down");
            self.close(e, &mut state.store, now);
        }
        state.dispatch(now, Some(self.id));
        self.absorb(&mut state.store, now);
        self.finish_drains(&mut state.store);
        self.refresh(&mut state.store, now);
        self.next_due = state.store.next_due();
        drop(guard);
        self.pump();
    }

    /// Negotiates, then decodes all whole frames in the read buffer; an error is the last.
    fn take_frames(&mut self, input: &mut BytesMut) -> Vec<Result<Frame, FrameError>> {
        if let Phase::Negotiating(negotiation) = &mut self.phase {
            let mut users = Users(self.shared.options.users.as_deref());
            match negotiation.advance(input, &mut self.out, &mut users) {
                Progress::Waits => return Vec::new(),
                Progress::Done => self.phase = Phase::Opening,
                Progress::Failed(reason) => {
                    self.failure = Some(Error::Negotiation(reason));
                    self.phase = Phase::Ended;
                }
            }
        }
        let mut frames = Vec::new();
        if self.is_ended() {
            input.clear();
            return frames;
        }
        let max = self
            .shared
            .options
            .max_frame_size
            .max(frame::MIN_MAX_FRAME_SIZE);
        loop {
            match frame::split(input, max) {
                Ok(None) => break,
                Ok(Some(bytes)) => {
                    let decoded = frame::decode(bytes);
                    let is_error = decoded.is_err();
                    frames.push(decoded);
                    if is_error {
                        input.clear();
                        break;
                    }
                }
                Err(e) => {
                    frames.push(Err(e));
                    input.clear();
                    break;
                }
            }
        }
        frames
    }

    fn on_malformed(&mut self, e: FrameError, store: &mut Store, now: u64) {
        let error = match e {
            FrameError::Framing(what) => errors::error(ConnectionError::FramingError, what),
            FrameError::Decode(what) => errors::error(AmqpError::DecodeError, what),
        };
        self.close(error, store, now);
    }

    /// Takes what the store has for this connection.
    fn absorb(&mut self, store: &mut Store, now: u64) {
        let mut events: VecDeque<Event> = store.take_events(self.id);
        while let Some(event) = events.pop_front() {
            match event {
                Event::Deliver(delivery) => {
                    // A link that is gone has returned the message already.
                    if let Some((channel, handle)) = self.routes.place(delivery.link) {
                        if let Some(session) = self.sessions.get_mut(&channel) {
                            session.enqueue(handle, delivery);
                        }
                    }
                }
                Event::Detach(link, error) => {
                    if let Some((channel, handle)) = self.routes.place(link) {
                        self.with_session(channel, store, now, |_, _| {
                            Err(Fault::Link(handle, error))
                        });
                    }
                }
            }
        }
    }

    fn finish_drains(&mut self, store: &mut Store) {
        let sessions = &mut self.sessions;
        self.routes.finish_drains(|link, (channel, handle)| {
            let Some(left) = store.drain(link) else {
                return false;
            };
            if let Some(session) = sessions.get_mut(&channel) {
                session.drained(handle, link, left);
            }
            true
        });
    }

    fn refresh(&mut self, store: &mut Store, now: u64) {
        let channels: Vec<u16> = self.sessions.keys().copied().collect();
        for channel in channels {
            self.with_session(channel, store, now, |session, context| {
                session.flush_settling(context)?;
                session.refresh(context)
            });
        }
    }

    /// Does something with a session and closes what a fault says.
    fn with_session(
        &mut self,
        channel: u16,
        store: &mut Store,
        now: u64,
        act: impl FnOnce(&mut Session, &mut Context<'_>) -> Result<(), Fault>,
    ) {
        let Some(session) = self.sessions.get_mut(&channel).filter(|s| !s.is_ended) else {
            return;
        };
        let mut context = Context {
            shared: &self.shared,
            store: &mut *store,
            connection: self.id,
            now,
            out: &mut self.out,
            routes: &mut self.routes,
        };
        let mut result = act(session, &mut context);
        if let Err(Fault::Link(handle, error)) = result {
            // Settlements of deliveries before the fault go out before the detach.
            result = session
                .flush_settling(&mut context)
                .and_then(|()| session.detach(handle, error, &mut context));
        }
        if let Err(Fault::Session(error)) = result {
            result = session
                .flush_settling(&mut context)
                .and_then(|()| session.end(error, &mut context));
        }
        match result {
            Ok(()) => {}
            Err(Fault::Connection(error) | Fault::Session(error) | Fault::Link(_, error)) => {
                self.close(error, store, now);
            }
        }
    }

    /// Closes the connection with an error, and gives up all sessions.
    fn close(&mut self, error: AmqpErrorValue, store: &mut Store, now: u64) {
        match self.phase {
            Phase::Opened => {}
            // A close must follow an open (AMQP 1.0 section 2.4.3).
            Phase::Opening => self.send_open(),
            Phase::Negotiating(_) => {
                self.failure = Some(Error::Negotiation(describe(&error)));
                self.phase = Phase::Ended;
                return;
            }
            Phase::Closing | Phase::Ended => return,
        }
        self.drop_sessions(store, now);
        self.failure = Some(Error::Closed(describe(&error)));
        let close = Close { error: Some(error) };
        self.phase = match frame::encode(&mut self.out, 0, &close) {
            Ok(()) => Phase::Closing,
            Err(_) => Phase::Ended,
        };
    }

    fn drop_sessions(&mut self, store: &mut Store, now: u64) {
        for mut session in std::mem::take(&mut self.sessions).into_values() {
            let mut context = Context {
                shared: &self.shared,
                store,
                connection: self.id,
                now,
                out: &mut self.out,
                routes: &mut self.routes,
            };
            session.drop_links(&mut context);
        }
    }

    /// Writes messages that wait, session after session.
    fn pump(&mut self) {
        let mut failed = false;
        // Each time another session goes first, so that a busy one does not starve its neighbours.
        let first = self.sessions.range(self.first_session..).next();
        let first = first.map_or(0, |(channel, _)| *channel);
        self.first_session = first.wrapping_add(1);
        let (before, after): (Vec<_>, Vec<_>) = self
            .sessions
            .values_mut()
            .partition(|session| session.channel < first);
        for session in after.into_iter().chain(before) {
            failed |= session
                .pump(
                    &mut self.out,
                    OUT_ROOM,
                    self.peer.max_frame_size,
                    &mut self.sent,
                )
                .is_err();
        }
        if failed {
            self.phase = Phase::Ended;
        }
    }
}

impl Engine for Connection {
    fn turn(&mut self, input: &mut BytesMut) {
        self.take_turn(input);
    }

    fn out(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    fn stage(&self) -> Stage {
        match self.phase {
            Phase::Negotiating(_) | Phase::Opening => Stage::Handshake,
            Phase::Opened => Stage::Open,
            Phase::Closing => Stage::Closing,
            Phase::Ended => Stage::Ended,
        }
    }

    fn end(&mut self, reason: Option<Error>) {
        self.failure = reason.or(self.failure.take());
        self.phase = Phase::Ended;
    }

    fn on_silence(&mut self) {
        let e = errors::error(
            AmqpError::ResourceLimitExceeded,
            "the peer was silent for longer than idle-time-out",
        );
        let shared = self.shared.clone();
        let mut state = shared.lock();
        self.close(e, &mut state.store, now());
        state.dispatch(now(), Some(self.id));
    }

    fn has_unwritten(&self) -> bool {
        !self.sent.is_empty()
    }

    fn waker(&self) -> Arc<Notify> {
        self.waker.clone()
    }

    fn handshake_timeout(&self) -> Duration {
        self.shared.options.handshake_timeout
    }

    fn idle_timeout(&self) -> Duration {
        self.shared.options.idle_timeout
    }

    fn peer_idle_timeout(&self) -> Option<Duration> {
        self.peer.idle_timeout
    }

    fn next_due(&self) -> Option<u64> {
        self.next_due
    }

    fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let now = now();
        let mut state = self.shared.lock();
        for (link, sequence) in self.sent.drain(..) {
            state.store.sent(link, sequence);
        }
        state.disconnect(self.id, now);
        state.dispatch(now, None);
    }
}

fn describe(error: &AmqpErrorValue) -> String {
    let condition = serde_amqp::to_value(&error.condition).ok();
    let condition = condition.and_then(|c| crate::model::arguments::text(&c).ok());
    format!(
        "{}: {}",
        condition.unwrap_or_default(),
        error.description.as_deref().unwrap_or_default()
    )
}
