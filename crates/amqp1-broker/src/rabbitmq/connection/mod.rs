//! One connection in the RabbitMQ dialect. What all dialects share is in [`crate::amqp`].

mod attach;
mod incoming;
mod link;
mod manners;
mod opening;
mod outgoing;
mod requests;
mod trunk;

use std::collections::VecDeque;
use std::convert::Infallible;

use bytes::BytesMut;
use fe2o3_amqp_types::definitions::{AmqpError, ConnectionError, Error};
use fe2o3_amqp_types::performatives::Open;

use super::model::errors;
use super::model::queue::Sequence;
use super::model::store::{Event, Policy, Store};
use super::settings::RabbitMq;
use crate::amqp::connection::Dialect;
use crate::amqp::ids::LinkId;
use crate::amqp::negotiation::Users;
use crate::amqp::parts::Parts;
use crate::amqp::shared::Shared;
use crate::amqp::transport::OUT_ROOM;
use crate::clock::now;
use crate::wire::frame;
use incoming::Settling;
use link::{OfOutgoing, Target};
use trunk::{Connection, Fault};

/// What the RabbitMQ dialect adds to a connection.
#[derive(Debug, Default)]
pub(crate) struct OfConnection {
    /// The session that may write first next time.
    first_session: u16,
}

impl Parts for RabbitMq {
    type Model = Store;
    type OfConnection = OfConnection;
    type OfSession = Settling;
    type OfLink = ();
    type OfIncoming = Target;
    type OfOutgoing = OfOutgoing;
    type Queue = ();
    /// A message of a queue; `None` for an answer of the management node.
    type Given = Option<Sequence>;
    type Sent = (LinkId, Sequence);
    type Unsettled = Sequence;
    type Fault = Infallible;

    fn model(&self) -> Store {
        Store::new(Policy {
            create_on_use: self.create_on_use,
            delivery_limit: self.max_delivery_count,
        })
    }
}

impl Dialect for RabbitMq {
    fn of_connection(&self, _now: u64) -> OfConnection {
        OfConnection::default()
    }

    fn max_sessions(&self) -> u16 {
        self.max_sessions
    }

    fn open(shared: &Shared<Self>) -> Open {
        opening::open(shared)
    }

    fn turn(connection: &mut Connection, input: &mut BytesMut) {
        connection.take_turn(input);
    }

    fn on_fault(_: &mut Connection, fault: Infallible, _: &mut Store, _now: u64) {
        match fault {}
    }

    fn on_sent(model: &mut Store, (link, sequence): (LinkId, Sequence)) {
        model.sent(link, sequence);
    }

    fn silent() -> Error {
        errors::error(
            AmqpError::ResourceLimitExceeded,
            "the peer was silent for longer than idle-time-out",
        )
    }
}

impl Connection {
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
        self.tell_sent(&mut state.model);
        // Events of earlier batches come first: frames refer to messages that were sent before
        // them.
        self.absorb(&mut state.model, now);
        for result in frames {
            match result {
                Ok(frame) => self.on_frame(frame, &mut state.model, now),
                Err(e) => self.close(e, &mut state.model, now),
            }
        }
        if self.shared.is_shut_down() {
            let e = errors::error(ConnectionError::ConnectionForced, "the broker shuts down");
            self.close(e, &mut state.model, now);
        }
        state.dispatch(now, Some(self.id));
        self.absorb(&mut state.model, now);
        self.finish_drains(&mut state.model);
        self.refresh(&mut state.model, now);
        self.endpoint.next_due = state.model.next_due();
        drop(guard);
        self.pump();
    }

    /// Handles the store's events for this connection.
    fn absorb(&mut self, model: &mut Store, now: u64) {
        let mut events: VecDeque<Event> = model.take_events(self.id);
        while let Some(event) = events.pop_front() {
            match event {
                Event::Deliver(delivery) => {
                    // If the link is gone, its message is already back in the queue.
                    if let Some((channel, handle)) = self.attachments.place(delivery.link) {
                        if let Some(session) = self.sessions.get_mut(&channel) {
                            session.enqueue(handle, delivery);
                        }
                    }
                }
                Event::Recall(link, sequence) => {
                    if let Some((channel, _)) = self.attachments.place(link) {
                        self.with_session(channel, model, now, |session, context| {
                            session.recall(link, sequence, context)
                        });
                    }
                }
                Event::Detach(link, error) => {
                    if let Some((channel, handle)) = self.attachments.place(link) {
                        self.with_session(channel, model, now, |_, _| {
                            Err(Fault::Link(handle, error))
                        });
                    }
                }
            }
        }
    }

    /// Writes waiting messages, session by session.
    fn pump(&mut self) {
        let mut failed = false;
        // A different session goes first each time, so that a busy one does not starve the others.
        let first = self.sessions.range(self.of.first_session..).next();
        let first = first.map_or(0, |(channel, _)| *channel);
        self.of.first_session = first.wrapping_add(1);
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
