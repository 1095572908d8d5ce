//! Frames of the connection itself: open, begin, end, close.

use fe2o3_amqp_types::performatives::{End, Open};
use serde_amqp::primitives::Symbol;
use serde_amqp::Value;

use super::session::Session;
use super::Connection;
use crate::amqp::endpoint::Asked;
use crate::servicebus::facts;
use crate::servicebus::model::errors;
use crate::servicebus::shared::{Shared, State};
use crate::wire::frame::Frame;

impl Connection {
    pub(super) fn on_frame(&mut self, frame: Frame, state: &mut State, now: u64) {
        let sessions = &self.sessions;
        let has_session = |channel| sessions.contains_key(&channel);
        match self
            .endpoint
            .read(frame, facts::CHANNEL_MAX + 1, has_session)
        {
            Asked::Nothing => {}
            Asked::Open => self.on_open(state, now),
            Asked::Begin(channel, begin) => {
                let (session, answer) = Session::begin(channel, &begin);
                self.endpoint.put(channel, &answer);
                self.sessions.insert(channel, session);
            }
            Asked::End(channel) => self.on_end(channel, state, now),
            Asked::OfSession(channel, frame) => {
                self.with_session(channel, state, now, |session, context| {
                    session.on_frame(frame, context)
                });
            }
            Asked::Close => {
                self.drop_sessions(state, now);
                self.endpoint.answer_close();
            }
            Asked::Broken(error) => self.close(error, state, now),
        }
    }

    /// A connection beyond those the namespace may have is opened before it is refused.
    fn on_open(&mut self, state: &mut State, now: u64) {
        self.endpoint.send_open(&open(&self.shared));
        if state.namespace.connection_count() > self.shared.settings.max_connections {
            let e = errors::error(
                "amqp:resource-limit-exceeded",
                "The namespace has as many connections as it may have.",
            );
            self.close(e, state, now);
        }
    }

    fn on_end(&mut self, channel: u16, state: &mut State, now: u64) {
        self.with_session(channel, state, now, |session, context| {
            session.drop_links(context);
            context.put(channel, &End { error: None })
        });
        // One that the broker had ended is ended on both sides now.
        self.sessions.remove(&channel);
    }
}

/// The service's open, and who this is.
pub(super) fn open(shared: &Shared) -> Open {
    let idle = shared.timeouts.idle.as_millis();
    let idle = u32::try_from(idle).unwrap_or(u32::MAX);
    let properties = [
        ("product", facts::PRODUCT),
        ("version", env!("CARGO_PKG_VERSION")),
    ];
    let properties = properties
        .map(|(key, value)| (Symbol::from(key), Value::from(value)))
        .into_iter()
        .collect();
    Open {
        container_id: shared.container_id.clone(),
        hostname: None,
        max_frame_size: facts::MAX_FRAME_SIZE.into(),
        channel_max: facts::CHANNEL_MAX.into(),
        idle_time_out: (idle > 0).then_some(idle),
        outgoing_locales: None,
        incoming_locales: None,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: Some(properties),
    }
}
