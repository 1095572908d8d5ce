//! One connection to a namespace: the protocol without the stream. What is the same in every dialect
//! is in [`crate::amqp`].

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

use bytes::{Bytes, BytesMut};
use fe2o3_amqp_types::definitions::Error as AmqpErrorValue;
use tokio::sync::Notify;

use super::facts;
use super::model::errors;
use super::model::namespace::{Event, NodeId};
use super::model::token::LockToken;
use super::shared::{Shared, State};
use crate::amqp::endpoint::Endpoint;
use crate::amqp::ids::ConnectionId;
use crate::amqp::routes::Routes;
use crate::amqp::transport::{Engine, Timeouts, OUT_ROOM};
use crate::clock::now;
use crate::error::Error;
use crate::wire::frame::{self, Frame, FrameError};
use crate::wire::lenient;
use access::Access;
use idle::Idle;
use requests::Reply;
use session::{Context, Fault, Session};

/// See the module.
#[derive(Debug)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
    id: ConnectionId,
    endpoint: Endpoint,
    /// By channel, which is one number for both directions.
    sessions: BTreeMap<u16, Session>,
    routes: Routes,
    access: Access,
    idle: Idle,
    /// Answers that are put off.
    replies: Vec<Reply>,
    /// Messages that were sent and are done with, because their receivers delete as they receive.
    sent: Vec<(NodeId, LockToken)>,
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
            endpoint: Endpoint::new(waker),
            sessions: BTreeMap::new(),
            routes: Routes::default(),
            replies: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn take_turn(&mut self, input: &mut BytesMut) {
        let max = facts::MAX_FRAME_SIZE;
        let frames = self
            .endpoint
            .take_frames(input, &mut self.access, max, decode);
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
                Err(e) => self.close(e, state, now),
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
        self.endpoint.next_due = due.into_iter().flatten().min();
        drop(guard);
        self.pump();
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
        self.endpoint.out.clear();
        let reason = Error::Closed("a fault that was asked for".into());
        self.endpoint.end(Some(reason));
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
            out: &mut self.endpoint.out,
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
        let open = || opening::open(&self.shared);
        if self.endpoint.begin_close(&error, open) {
            self.drop_sessions(state, now);
            self.endpoint.send_close(error);
        }
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
            let max = self.endpoint.peer_max_frame_size;
            let out = &mut self.endpoint.out;
            let goes_on = session.pump(out, OUT_ROOM, max, &mut self.sent);
            if !matches!(goes_on, Ok(true)) {
                // Not another octet behind a frame that is cut.
                self.endpoint.end(None);
                return;
            }
        }
    }
}

impl Engine for Connection {
    fn turn(&mut self, input: &mut BytesMut) {
        self.take_turn(input);
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn endpoint_mut(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    fn timeouts(&self) -> Timeouts {
        self.shared.timeouts
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

/// Decodes a frame, put right where an SDK of the service is known to be wrong.
fn decode(bytes: Bytes) -> Result<Frame, FrameError> {
    frame::decode(bytes.clone()).or_else(|e| {
        let right = lenient::with_symbol_keys(&bytes).ok_or(e)?;
        frame::decode(right)
    })
}
