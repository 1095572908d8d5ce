//! One connection to a namespace: the protocol without the stream.

mod access;
mod attach;
mod faults;
mod idle;
mod incoming;
mod link;
mod opening;
mod outgoing;
mod requests;
mod session;
mod settling;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use fe2o3_amqp_types::definitions::Error as AmqpErrorValue;
use fe2o3_amqp_types::performatives::Close;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use super::facts;
use super::model::errors;
use super::model::namespace::{Event, NodeId};
use super::model::token::LockToken;
use super::shared::{Shared, State};
use crate::amqp::negotiation::{Negotiation, Progress};
use crate::amqp::routes::Routes;
use crate::broker::now;
use crate::model::store::ConnectionId;
use crate::transport::{self, Engine, Stage, OUT_ROOM};
use crate::wire::frame::{self, Frame, FrameError};
use crate::wire::lenient;
use crate::Error;
use access::Access;
use idle::Idle;
use requests::Reply;
use session::{Context, Fault, Session};

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

/// See the module.
#[derive(Debug)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
    id: ConnectionId,
    waker: Arc<Notify>,
    phase: Phase,
    peer_max_frame_size: u32,
    peer_idle_timeout: Option<Duration>,
    out: BytesMut,
    /// By channel, which is one number for both directions.
    sessions: BTreeMap<u16, Session>,
    routes: Routes,
    access: Access,
    idle: Idle,
    /// Answers that are put off.
    replies: Vec<Reply>,
    /// Messages that were sent and are done with, because their receivers delete as they receive.
    sent: Vec<(NodeId, LockToken)>,
    next_due: Option<u64>,
    failure: Option<Error>,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let waker = Arc::new(Notify::new());
        let id = shared.lock().connect(waker.clone());
        Self {
            access: Access::new(&shared.settings),
            idle: Idle::new(now()),
            shared,
            id,
            waker,
            phase: Phase::Negotiating(Negotiation::new()),
            peer_max_frame_size: frame::MIN_MAX_FRAME_SIZE,
            peer_idle_timeout: None,
            out: BytesMut::new(),
            sessions: BTreeMap::new(),
            routes: Routes::default(),
            replies: Vec::new(),
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

    fn take_turn(&mut self, input: &mut BytesMut) {
        let frames = self.take_frames(input);
        let shared = self.shared.clone();
        let mut guard = shared.lock();
        let state = &mut *guard;
        let now = now();
        for (node, token) in self.sent.drain(..) {
            if let Some(queue) = state.namespace.queue_mut(node) {
                let _ = queue.complete(token);
            }
        }
        // Events of earlier turns first: frames refer to what was sent before them.
        self.absorb(state, now);
        for result in frames {
            match result {
                Ok(frame) => self.on_frame(frame, state, now),
                Err(e) => self.on_malformed(e, state, now),
            }
            self.send_replies(state, now);
        }
        if self.shared.is_shut_down() {
            let e = errors::error("amqp:connection:forced", "The broker shuts down.");
            self.close(e, state, now);
        }
        self.watch_idle(state, now);
        self.send_replies(state, now);
        state.dispatch(now, Some(self.id));
        self.absorb(state, now);
        self.finish_drains(state);
        self.refresh(state, now);
        let replies = self.replies.iter().map(|reply| reply.at).min();
        let due = [state.namespace.next_due(), self.idle_due(now), replies];
        self.next_due = due.into_iter().flatten().min();
        drop(guard);
        self.pump();
    }

    /// Negotiates, then decodes all whole frames in the read buffer; an error is the last.
    fn take_frames(&mut self, input: &mut BytesMut) -> Vec<Result<Frame, FrameError>> {
        if let Phase::Negotiating(negotiation) = &mut self.phase {
            let progress = negotiation.advance(input, &mut self.out, &mut self.access);
            match progress {
                Progress::Waits => return Vec::new(),
                Progress::Done => self.phase = Phase::Opening,
                Progress::Failed(reason) => {
                    self.failure = Some(Error::Negotiation(reason));
                    self.phase = Phase::Ended;
                }
            }
        }
        let mut frames = Vec::new();
        if matches!(self.phase, Phase::Ended) {
            input.clear();
            return frames;
        }
        loop {
            let next = match frame::split(input, facts::MAX_FRAME_SIZE) {
                Ok(None) => break,
                Ok(Some(bytes)) => frame::decode(bytes.clone()).or_else(|e| {
                    let right = lenient::with_symbol_keys(&bytes).ok_or(e)?;
                    frame::decode(right)
                }),
                Err(e) => Err(e),
            };
            let is_error = next.is_err();
            frames.push(next);
            if is_error {
                input.clear();
                break;
            }
        }
        frames
    }

    fn on_malformed(&mut self, e: FrameError, state: &mut State, now: u64) {
        let error = match e {
            FrameError::Framing(what) => errors::error("amqp:connection:framing-error", what),
            FrameError::Decode(what) => errors::error("amqp:decode-error", what),
        };
        self.close(error, state, now);
    }

    /// Takes what the namespace has for this connection.
    fn absorb(&mut self, state: &mut State, now: u64) {
        for event in state.namespace.take_events(self.id) {
            let link = match &event {
                Event::Deliver(_, assignment) => assignment.link,
                Event::Session(link, _) | Event::Detach(link, _) => *link,
                Event::Fault(fault) => {
                    self.happen(fault, state, now);
                    continue;
                }
            };
            let Some((channel, handle)) = self.routes.place(link) else {
                // The link is gone, and what was for it goes back.
                if let Event::Deliver(node, assignment) = event {
                    state.namespace.unassign(node, assignment.token);
                }
                continue;
            };
            self.with_session(channel, state, now, |session, context| match event {
                Event::Deliver(node, assignment) => {
                    session.on_delivery(handle, node, *assignment, context)
                }
                Event::Session(_, granted) => session.on_session(handle, granted, context),
                Event::Detach(_, error) => Err(Fault::Link(handle, error)),
                Event::Fault(_) => Ok(()),
            });
        }
    }

    /// Ends the stream without a word.
    fn reset(&mut self, state: &mut State, now: u64) {
        self.drop_sessions(state, now);
        self.out.clear();
        self.failure = Some(Error::Closed("a fault that was asked for".into()));
        self.phase = Phase::Ended;
    }

    fn finish_drains(&mut self, state: &mut State) {
        let sessions = &mut self.sessions;
        self.routes.finish_drains(|link, (channel, handle)| {
            if let Some(session) = sessions.get_mut(&channel) {
                let left = state.namespace.drain(link);
                session.drained(handle, link, left);
            }
            true
        });
    }

    fn refresh(&mut self, state: &mut State, now: u64) {
        let channels: Vec<u16> = self.sessions.keys().copied().collect();
        for channel in channels {
            self.with_session(channel, state, now, Session::refresh);
        }
    }

    /// Does something with a session and closes what a fault says.
    fn with_session(
        &mut self,
        channel: u16,
        state: &mut State,
        now: u64,
        act: impl FnOnce(&mut Session, &mut Context<'_>) -> Result<(), Fault>,
    ) {
        let Some(session) = self.sessions.get_mut(&channel).filter(|s| !s.is_ended) else {
            return;
        };
        let mut context = Context {
            shared: &self.shared,
            state,
            connection: self.id,
            now,
            out: &mut self.out,
            routes: &mut self.routes,
            access: &mut self.access,
            replies: &mut self.replies,
        };
        let mut result = act(session, &mut context);
        if let Err(Fault::Link(handle, error)) = result {
            result = session.detach(handle, error, &mut context);
        }
        if let Err(Fault::Session(error)) = result {
            result = session.end(error, &mut context);
        }
        match result {
            Ok(()) => {}
            Err(Fault::Connection(error) | Fault::Session(error) | Fault::Link(_, error)) => {
                self.close(error, state, now);
            }
            Err(Fault::Reset) => self.reset(state, now),
            Err(Fault::ExpireToken) => self.expire_token(state, now),
        }
    }

    /// Closes the connection with an error, and gives up all sessions.
    fn close(&mut self, error: AmqpErrorValue, state: &mut State, now: u64) {
        match self.phase {
            Phase::Opened => {}
            // A close must follow an open (AMQP 1.0 section 2.4.3).
            Phase::Opening => self.send_open(),
            Phase::Negotiating(_) => {
                self.failure = Some(Error::Negotiation(error.to_string()));
                self.phase = Phase::Ended;
                return;
            }
            Phase::Closing | Phase::Ended => return,
        }
        self.drop_sessions(state, now);
        self.failure = Some(Error::Closed(error.to_string()));
        let close = Close { error: Some(error) };
        self.phase = match frame::encode(&mut self.out, 0, &close) {
            Ok(()) => Phase::Closing,
            Err(_) => Phase::Ended,
        };
    }

    fn drop_sessions(&mut self, state: &mut State, now: u64) {
        let channels: Vec<u16> = self.sessions.keys().copied().collect();
        for channel in channels {
            self.with_session(channel, state, now, |session, context| {
                session.drop_links(context);
                Ok(())
            });
        }
        self.sessions.clear();
    }

    /// Writes messages that wait, session after session.
    fn pump(&mut self) {
        for session in self.sessions.values_mut() {
            let (out, max) = (&mut self.out, self.peer_max_frame_size);
            let goes_on = session.pump(out, OUT_ROOM, max, &mut self.sent);
            if !matches!(goes_on, Ok(true)) {
                // Not another octet behind a frame that is cut.
                self.phase = Phase::Ended;
                return;
            }
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
            "amqp:resource-limit-exceeded",
            "The peer was silent for longer than idle-time-out.",
        );
        let shared = self.shared.clone();
        let mut state = shared.lock();
        self.close(e, &mut state, now());
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
        self.peer_idle_timeout
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
        let shared = self.shared.clone();
        let mut state = shared.lock();
        for (node, token) in self.sent.drain(..) {
            if let Some(queue) = state.namespace.queue_mut(node) {
                let _ = queue.complete(token);
            }
        }
        // What was given out and not sent goes back.
        for event in state.namespace.take_events(self.id) {
            if let Event::Deliver(node, assignment) = event {
                state.namespace.unassign(node, assignment.token);
            }
        }
        self.drop_sessions(&mut state, now);
        state.disconnect(self.id);
        state.dispatch(now, None);
    }
}
