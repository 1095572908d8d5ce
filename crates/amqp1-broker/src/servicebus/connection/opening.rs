//! Frames of the connection itself: open, begin, end, close.

use std::time::Duration;

use fe2o3_amqp_types::performatives::{Begin, Close, End, Open, Performative};

use super::session::Session;
use super::{Connection, Phase};
use crate::servicebus::facts;
use crate::servicebus::model::errors;
use crate::servicebus::shared::State;
use crate::wire::frame::{self, Frame, MIN_MAX_FRAME_SIZE};

impl Connection {
    pub(super) fn on_frame(&mut self, frame: Frame, state: &mut State, now: u64) {
        let Some(performative) = frame.performative else {
            return;
        };
        let channel = frame.channel;
        match (&self.phase, performative) {
            (Phase::Opening, Performative::Open(open)) => self.on_open(&open, state, now),
            (Phase::Closing, Performative::Close(_)) => self.phase = Phase::Ended,
            (Phase::Closing | Phase::Ended | Phase::Negotiating(_), _) => {}
            (Phase::Opened, Performative::Close(_)) => {
                self.drop_sessions(state, now);
                let _ = frame::encode(&mut self.out, 0, &Close { error: None });
                self.phase = Phase::Ended;
            }
            (Phase::Opening, _) => {
                let e = errors::error("amqp:illegal-state", "the first frame is not an open");
                self.close(e, state, now);
            }
            (Phase::Opened, Performative::Open(_)) => {
                self.close(
                    errors::error("amqp:illegal-state", "a second open"),
                    state,
                    now,
                );
            }
            (Phase::Opened, Performative::Begin(begin)) => {
                self.on_begin(channel, &begin, state, now);
            }
            (Phase::Opened, Performative::End(_)) => self.on_end(channel, state, now),
            (Phase::Opened, other) => {
                if self.sessions.contains_key(&channel) {
                    self.with_session(channel, state, now, |session, context| {
                        session.on_performative(other, frame.payload, context)
                    });
                } else {
                    let text = format!("channel {channel} has no session");
                    self.close(errors::not_allowed(text), state, now);
                }
            }
        }
    }

    fn on_open(&mut self, open: &Open, state: &mut State, now: u64) {
        self.peer_max_frame_size = open.max_frame_size.0.max(MIN_MAX_FRAME_SIZE);
        self.peer_idle_timeout = open
            .idle_time_out
            .filter(|ms| *ms > 0)
            .map(|ms| Duration::from_millis(ms.into()));
        self.send_open();
        if state.namespace.connection_count() > self.shared.settings.max_connections {
            let e = errors::error(
                "amqp:resource-limit-exceeded",
                "The namespace has as many connections as it may have.",
            );
            self.close(e, state, now);
        }
    }

    /// Sends the open; the connection is open for the broker then.
    pub(super) fn send_open(&mut self) {
        let idle = self.shared.options.idle_timeout.as_millis();
        let idle = u32::try_from(idle).unwrap_or(u32::MAX);
        let open = Open {
            container_id: self.shared.container_id.clone(),
            hostname: None,
            max_frame_size: facts::MAX_FRAME_SIZE.into(),
            channel_max: facts::CHANNEL_MAX.into(),
            idle_time_out: (idle > 0).then_some(idle),
            outgoing_locales: None,
            incoming_locales: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        };
        self.phase = match frame::encode(&mut self.out, 0, &open) {
            Ok(()) => Phase::Opened,
            Err(_) => Phase::Ended,
        };
    }

    fn on_begin(&mut self, channel: u16, begin: &Begin, state: &mut State, now: u64) {
        let error = if channel > facts::CHANNEL_MAX {
            let text = format!("channel {channel} is beyond channel-max");
            Some(errors::error("amqp:connection:framing-error", text))
        } else if self.sessions.contains_key(&channel) {
            let text = format!("channel {channel} has a session already");
            Some(errors::not_allowed(text))
        } else {
            None
        };
        if let Some(error) = error {
            return self.close(error, state, now);
        }
        let (session, answer) = Session::begin(channel, begin);
        if frame::encode(&mut self.out, channel, &answer).is_err() {
            self.phase = Phase::Ended;
        }
        self.sessions.insert(channel, session);
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
