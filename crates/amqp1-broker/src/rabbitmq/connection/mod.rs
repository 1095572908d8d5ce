//! One connection: the protocol without the stream. Octets go in, octets come out;
//! [`crate::amqp::transport`] moves them. What is the same in every dialect is in [`crate::amqp`].

mod attach;
mod incoming;
mod link;
mod outgoing;
mod performatives;
mod requests;
mod session;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::BytesMut;
use fe2o3_amqp_types::definitions::{AmqpError, ConnectionError, Error as AmqpErrorValue};
use tokio::sync::Notify;

use crate::amqp::endpoint::Endpoint;
use crate::amqp::ids::ConnectionId;
use crate::amqp::ids::LinkId;
use crate::amqp::negotiation::Users;
use crate::amqp::routes::Routes;
use crate::amqp::transport::{Engine, Timeouts, OUT_ROOM};
use crate::clock::now;
use crate::rabbitmq::connection::session::{Context, Fault, Session};
use crate::rabbitmq::model::errors;
use crate::rabbitmq::model::queue::Sequence;
use crate::rabbitmq::model::store::{Event, Store};
use crate::rabbitmq::shared::Shared;
use crate::wire::frame;

/// See the module.
#[derive(Debug)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
    id: ConnectionId,
    endpoint: Endpoint,
    /// By channel, which is one number for both directions.
    sessions: BTreeMap<u16, Session>,
    routes: Routes,
    /// The session that may write first next time.
    first_session: u16,
    /// Deliveries that were sent and that the store has not been told of.
    sent: Vec<(LinkId, Sequence)>,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let waker = Arc::new(Notify::new());
        let id = shared.lock().connect(waker.clone());
        Self {
            shared,
            id,
            endpoint: Endpoint::new(waker),
            sessions: BTreeMap::new(),
            routes: Routes::default(),
            first_session: 0,
            sent: Vec::new(),
        }
    }

    fn take_turn(&mut self, input: &mut BytesMut) {
        let options = &self.shared.settings;
        let mut users = Users(options.users.as_deref());
        let max = options.max_frame_size.max(frame::MIN_MAX_FRAME_SIZE);
        let frames = self
            .endpoint
            .take_frames(input, &mut users, max, frame::decode);
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
                Err(e) => self.close(e, &mut state.store, now),
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
        self.endpoint.next_due = state.store.next_due();
        drop(guard);
        self.pump();
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
                Event::Recall(link, sequence) => {
                    if let Some((channel, _)) = self.routes.place(link) {
                        self.with_session(channel, store, now, |session, context| {
                            session.recall(link, sequence, context)
                        });
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
            out: &mut self.endpoint.out,
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
        let open = || performatives::open(&self.shared);
        if self.endpoint.begin_close(&error, open) {
            self.drop_sessions(store, now);
            self.endpoint.send_close(error);
        }
    }

    fn drop_sessions(&mut self, store: &mut Store, now: u64) {
        for mut session in std::mem::take(&mut self.sessions).into_values() {
            let mut context = Context {
                shared: &self.shared,
                store,
                connection: self.id,
                now,
                out: &mut self.endpoint.out,
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
            let max = self.endpoint.peer_max_frame_size;
            let out = &mut self.endpoint.out;
            failed |= session.pump(out, OUT_ROOM, max, &mut self.sent).is_err();
        }
        if failed {
            self.endpoint.end(None);
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
