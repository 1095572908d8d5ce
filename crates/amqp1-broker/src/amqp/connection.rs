//! One connection: the protocol without the stream. Bytes go in, bytes come out; [`transport`]
//! moves them. A dialect's own behaviour, including how a turn runs, is in its [`Dialect`].
//!
//! [`transport`]: super::transport

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::BytesMut;
use fe2o3_amqp_types::definitions::Error;
use fe2o3_amqp_types::performatives::{End, Open};
use tokio::sync::Notify;

use super::attachments::Attachments;
use super::endpoint::{Asked, Endpoint};
use super::ids::ConnectionId;
use super::parts::Model;
use super::session::{Context, Done, Fault, Manners, Session};
use super::shared::Shared;
use super::transport::{Engine, Timeouts};
use crate::clock::now;
use crate::wire::frame::Frame;

/// A dialect's own behaviour for connections.
pub(crate) trait Dialect: Manners {
    /// The dialect's part of a new connection.
    fn of_connection(&self, now: u64) -> Self::OfConnection;

    /// The most sessions on one connection.
    fn max_sessions(&self) -> u16;

    /// The broker's open.
    fn open(shared: &Shared<Self>) -> Open;

    /// Called after the broker's open is sent.
    fn on_opened(_connection: &mut Connection<Self>, _model: &mut Self::Model, _now: u64) {}

    /// Handles the input, does the work that is due, and writes the output.
    fn turn(connection: &mut Connection<Self>, input: &mut BytesMut);

    fn on_fault(
        connection: &mut Connection<Self>,
        fault: Self::Fault,
        model: &mut Self::Model,
        now: u64,
    );

    /// Called after a delivery is sent completely.
    fn on_sent(model: &mut Self::Model, sent: Self::Sent);

    /// Called when the connection has ended, before its sessions are dropped.
    fn on_gone(_connection: &mut Connection<Self>, _model: &mut Self::Model) {}

    /// The error for a peer that was silent for too long.
    fn silent() -> Error;
}

pub(crate) struct Connection<D: Dialect> {
    pub(crate) shared: Arc<Shared<D>>,
    pub(crate) id: ConnectionId,
    pub(crate) endpoint: Endpoint,
    /// By channel; both directions use the same number.
    pub(crate) sessions: BTreeMap<u16, Session<D>>,
    pub(crate) attachments: Attachments,
    /// Deliveries that were sent completely, but not yet reported to the model.
    pub(crate) sent: Vec<D::Sent>,
    pub(crate) of: D::OfConnection,
}

impl<D: Dialect> Connection<D> {
    pub(crate) fn new(shared: Arc<Shared<D>>) -> Self {
        let waker = Arc::new(Notify::new());
        let id = shared.lock().connect(waker.clone());
        Self {
            of: shared.settings.of_connection(now()),
            shared,
            id,
            endpoint: Endpoint::new(waker),
            sessions: BTreeMap::new(),
            attachments: Attachments::default(),
            sent: Vec::new(),
        }
    }

    pub(crate) fn on_frame(&mut self, frame: Frame, model: &mut D::Model, now: u64) {
        let sessions = &self.sessions;
        let max_sessions = self.shared.settings.max_sessions();
        let has_session = |channel| sessions.contains_key(&channel);
        match self.endpoint.read(frame, max_sessions, has_session) {
            Asked::Nothing => {}
            Asked::Open => {
                self.endpoint.send_open(&D::open(&self.shared));
                D::on_opened(self, model, now);
            }
            Asked::Begin(channel, begin) => {
                let (session, answer) = Session::begin(channel, &begin, &self.shared.settings);
                self.endpoint.put(channel, &answer);
                self.sessions.insert(channel, session);
            }
            Asked::End(channel) => self.on_end(channel, model, now),
            Asked::Session(channel, frame) => {
                self.with_session(channel, model, now, |session, context| {
                    session.on_frame(frame, context)
                });
            }
            Asked::Close => {
                self.drop_sessions(model, now);
                self.endpoint.answer_close();
            }
            Asked::Broken(error) => self.close(error, model, now),
        }
    }

    fn on_end(&mut self, channel: u16, model: &mut D::Model, now: u64) {
        self.with_session(channel, model, now, |session, context| {
            D::flush(session, context)?;
            session.drop_links(context);
            context.put(channel, &End { error: None })
        });
        // If the broker had ended the session, both sides have ended it now.
        self.sessions.remove(&channel);
    }

    /// Reports sent deliveries to the model.
    pub(crate) fn tell_sent(&mut self, model: &mut D::Model) {
        for sent in self.sent.drain(..) {
            D::on_sent(model, sent);
        }
    }

    /// Answers the drains of links that have received all available messages. Call it after
    /// [`Model::dispatch`].
    pub(crate) fn finish_drains(&mut self, model: &mut D::Model) {
        let sessions = &mut self.sessions;
        self.attachments.finish_drains(|link, (channel, handle)| {
            let Some(left) = model.drain(link) else {
                return false;
            };
            if let Some(session) = sessions.get_mut(&channel) {
                session.drained(handle, link, left);
            }
            true
        });
    }

    /// Refreshes the windows and the credit of all sessions.
    pub(crate) fn refresh(&mut self, model: &mut D::Model, now: u64) {
        let channels: Vec<u16> = self.sessions.keys().copied().collect();
        for channel in channels {
            self.with_session(channel, model, now, Session::refresh);
        }
    }

    /// Runs an action on a session, and closes whatever the resulting fault names.
    pub(crate) fn with_session(
        &mut self,
        channel: u16,
        model: &mut D::Model,
        now: u64,
        act: impl FnOnce(&mut Session<D>, &mut Context<'_, D>) -> Done<D>,
    ) {
        let Some(session) = self.sessions.get_mut(&channel).filter(|s| !s.is_ended) else {
            return;
        };
        let mut context = Context {
            shared: &self.shared,
            model: &mut *model,
            connection: self.id,
            now,
            out: &mut self.endpoint.out,
            attachments: &mut self.attachments,
            of: &mut self.of,
        };
        let mut result = act(session, &mut context);
        if let Err(Fault::Link(handle, error)) = result {
            // Settlements of deliveries before the fault must precede the detach.
            result = D::flush(session, &mut context)
                .and_then(|()| session.detach(handle, error, &mut context));
        }
        if let Err(Fault::Session(error)) = result {
            result =
                D::flush(session, &mut context).and_then(|()| session.end(error, &mut context));
        }
        match result {
            Ok(()) => {}
            Err(Fault::Connection(error) | Fault::Session(error) | Fault::Link(_, error)) => {
                self.close(error, model, now);
            }
            Err(Fault::OfDialect(fault)) => D::on_fault(self, fault, model, now),
        }
    }

    /// Closes the connection with an error and drops all sessions.
    pub(crate) fn close(&mut self, error: Error, model: &mut D::Model, now: u64) {
        let open = || D::open(&self.shared);
        if self.endpoint.begin_close(&error, open) {
            self.drop_sessions(model, now);
            self.endpoint.send_close(error);
        }
    }

    pub(crate) fn drop_sessions(&mut self, model: &mut D::Model, now: u64) {
        let channels: Vec<u16> = self.sessions.keys().copied().collect();
        for channel in channels {
            self.with_session(channel, model, now, |session, context| {
                session.drop_links(context);
                Ok(())
            });
        }
        self.sessions.clear();
    }
}

impl<D: Dialect> Engine for Connection<D> {
    fn turn(&mut self, input: &mut BytesMut) {
        D::turn(self, input);
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
        let shared = self.shared.clone();
        let mut state = shared.lock();
        self.close(D::silent(), &mut state.model, now());
        state.dispatch(now(), Some(self.id));
    }

    fn has_unwritten(&self) -> bool {
        !self.sent.is_empty()
    }
}

impl<D: Dialect> Drop for Connection<D> {
    fn drop(&mut self) {
        let now = now();
        let shared = self.shared.clone();
        let mut state = shared.lock();
        self.tell_sent(&mut state.model);
        D::on_gone(self, &mut state.model);
        self.drop_sessions(&mut state.model, now);
        state.disconnect(self.id, now);
        state.dispatch(now, None);
    }
}

impl<D: Dialect> fmt::Debug for Connection<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
