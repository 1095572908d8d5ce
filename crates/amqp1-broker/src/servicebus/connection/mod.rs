//! One connection to a namespace. What all dialects share is in [`crate::amqp`].

mod access;
mod attach;
mod faults;
mod idle;
mod incoming;
mod link;
mod manners;
mod opening;
mod outgoing;
mod requests;
mod settling;
mod trunk;

use bytes::{Bytes, BytesMut};
use fe2o3_amqp_types::definitions::Error as AmqpErrorValue;
use fe2o3_amqp_types::performatives::Open;

use super::facts::{self, condition};
use super::lenient;
use super::model::errors;
use super::model::namespace::{Event, NodeId};
use super::service::Service;
use super::settings::ServiceBus;
use crate::amqp::connection::Dialect;
use crate::amqp::parts::Parts;
use crate::amqp::shared::Shared;
use crate::amqp::transport::OUT_ROOM;
use crate::clock::now;
use crate::error::Error;
use crate::wire::frame::{self, Frame, FrameError};
use access::Access;
use idle::Idle;
use link::{OfIncoming, OfLink, OfOutgoing};
use outgoing::Given;
use requests::Reply;
use settling::Locked;
use trunk::{Broken, Connection, Fault};

/// What the Service Bus dialect adds to a connection.
#[derive(Debug)]
pub(crate) struct OfConnection {
    access: Access,
    idle: Idle,
    /// Delayed answers.
    replies: Vec<Reply>,
}

impl Parts for ServiceBus {
    type Model = Service;
    type OfConnection = OfConnection;
    type OfSession = ();
    type OfLink = OfLink;
    type OfIncoming = OfIncoming;
    type OfOutgoing = OfOutgoing;
    type Queue = NodeId;
    type Given = Given;
    /// A message that is finished once sent, because its receiver uses receive-and-delete.
    type Sent = Locked;
    type Unsettled = Locked;
    type Fault = Broken;

    fn model(&self) -> Service {
        Service::new(self)
    }
}

impl Dialect for ServiceBus {
    fn of_connection(&self, now: u64) -> OfConnection {
        OfConnection {
            access: Access::new(self),
            idle: Idle::new(now),
            replies: Vec::new(),
        }
    }

    fn max_sessions(&self) -> u16 {
        facts::CHANNEL_MAX + 1
    }

    fn open(shared: &Shared<Self>) -> Open {
        opening::open(shared)
    }

    /// A connection over the namespace's limit is opened, then closed with an error.
    fn on_opened(connection: &mut Connection, model: &mut Service, now: u64) {
        if model.namespace.connection_count() > connection.shared.settings.max_connections {
            let e = errors::error(
                condition::RESOURCE_LIMIT_EXCEEDED,
                "The namespace has as many connections as it may have.",
            );
            connection.close(e, model, now);
        }
    }

    fn turn(connection: &mut Connection, input: &mut BytesMut) {
        connection.take_turn(input);
    }

    fn on_fault(connection: &mut Connection, fault: Broken, model: &mut Service, now: u64) {
        match fault {
            Broken::Stream => connection.reset(model, now),
            Broken::Token => connection.expire_token(model, now),
        }
    }

    fn on_sent(model: &mut Service, lock: Locked) {
        if let Some(queue) = model.namespace.queue_mut(lock.node) {
            let _ = queue.complete(lock.token);
        }
    }

    /// Assigned messages that were not sent return to their queues.
    fn on_gone(connection: &mut Connection, model: &mut Service) {
        for event in model.namespace.take_events(connection.id) {
            if let Event::Deliver(node, assignment) = event {
                model.namespace.unassign(node, assignment.token);
            }
        }
    }

    fn silent() -> AmqpErrorValue {
        errors::error(
            condition::RESOURCE_LIMIT_EXCEEDED,
            "The peer was silent for longer than idle-time-out.",
        )
    }
}

impl Connection {
    fn take_turn(&mut self, input: &mut BytesMut) {
        let max = facts::MAX_FRAME_SIZE;
        let frames = self
            .endpoint
            .take_frames(input, &mut self.of.access, max, decode);
        let shared = self.shared.clone();
        let mut guard = shared.lock();
        let state = &mut *guard;
        let now = now();
        self.tell_sent(&mut state.model);
        // Events of earlier turns come first: frames refer to messages that were sent before them.
        self.absorb(&mut state.model, now);
        for result in frames {
            match result {
                Ok(frame) => self.on_frame(frame, &mut state.model, now),
                Err(e) => self.close(e, &mut state.model, now),
            }
            self.send_replies(&mut state.model, now);
        }
        if self.shared.is_shut_down() {
            let e = errors::error(condition::CONNECTION_FORCED, "The broker shuts down.");
            self.close(e, &mut state.model, now);
        }
        self.watch_idle(&mut state.model, now);
        self.send_replies(&mut state.model, now);
        state.dispatch(now, Some(self.id));
        self.absorb(&mut state.model, now);
        self.finish_drains(&mut state.model);
        self.refresh(&mut state.model, now);
        let replies = self.of.replies.iter().map(|reply| reply.at).min();
        let due = [
            state.model.namespace.next_due(),
            self.idle_due(now),
            replies,
        ];
        self.endpoint.next_due = due.into_iter().flatten().min();
        drop(guard);
        self.pump();
    }

    /// Handles the namespace's events for this connection.
    fn absorb(&mut self, model: &mut Service, now: u64) {
        for event in model.namespace.take_events(self.id) {
            let link = match &event {
                Event::Deliver(_, assignment) => assignment.link,
                Event::Session(link, _) | Event::Detach(link, _) => *link,
                Event::Fault(fault) => {
                    self.happen(fault, model, now);
                    continue;
                }
            };
            let Some((channel, handle)) = self.attachments.place(link) else {
                // The link is gone, so its message returns.
                if let Event::Deliver(node, assignment) = event {
                    model.namespace.unassign(node, assignment.token);
                }
                continue;
            };
            self.with_session(channel, model, now, |session, context| match event {
                Event::Deliver(node, assignment) => {
                    session.on_delivery(handle, node, *assignment, context)
                }
                Event::Session(_, granted) => session.on_session(handle, granted, context),
                Event::Detach(_, error) => Err(Fault::Link(handle, error)),
                Event::Fault(_) => Ok(()),
            });
        }
    }

    /// Ends the stream without a close.
    fn reset(&mut self, model: &mut Service, now: u64) {
        self.drop_sessions(model, now);
        self.endpoint.out.clear();
        let reason = Error::Closed("a fault that was asked for".into());
        self.endpoint.end(Some(reason));
    }

    /// Writes waiting messages, session by session.
    fn pump(&mut self) {
        for session in self.sessions.values_mut() {
            let max = self.endpoint.peer_max_frame_size;
            let out = &mut self.endpoint.out;
            let goes_on = session.pump(out, OUT_ROOM, max, &mut self.sent);
            if !matches!(goes_on, Ok(true)) {
                // Nothing may follow a frame that is cut off.
                self.endpoint.end(None);
                return;
            }
        }
    }
}

/// Decodes a frame, and corrects known errors of the service's SDKs.
fn decode(bytes: Bytes) -> Result<Frame, FrameError> {
    frame::decode(bytes.clone()).or_else(|e| {
        let right = lenient::with_symbol_keys(&bytes).ok_or(e)?;
        frame::decode(right)
    })
}
