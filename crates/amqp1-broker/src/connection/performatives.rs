//! What each performative does: open, begin, end and close here, the others in the session.

use std::time::Duration;

use fe2o3_amqp_types::definitions::{AmqpError, ConnectionError, Fields};
use fe2o3_amqp_types::performatives::{Begin, Close, End, Flow, Open, Performative};
use serde_amqp::primitives::{Array, Symbol};
use serde_amqp::Value;

use super::link::Kind;
use super::session::{unattached, Context, Fault, Session};
use super::{Connection, Phase};
use crate::model::errors;
use crate::model::store::Store;
use crate::wire::frame::{self, Frame, MIN_MAX_FRAME_SIZE};

/// Name of the product in the broker's open.
const PRODUCT: &str = "amqp1-broker";
/// Senders may name the address in each message
/// (<https://docs.oasis-open.org/amqp/anonterm/v1.0/anonterm-v1.0.html>).
const ANONYMOUS_RELAY: &str = "ANONYMOUS-RELAY";

impl Connection {
    pub(super) fn on_frame(&mut self, frame: Frame, store: &mut Store, now: u64) {
        let Some(performative) = frame.performative else {
            return;
        };
        let channel = frame.channel;
        match (&self.phase, performative) {
            (Phase::Opening, Performative::Open(open)) => self.on_open(&open),
            (Phase::Closing, Performative::Close(_)) => self.phase = Phase::Ended,
            (Phase::Closing | Phase::Ended | Phase::Negotiating(_), _) => {}
            (Phase::Opened, Performative::Close(_)) => {
                self.drop_sessions(store, now);
                let _ = frame::encode(&mut self.out, 0, &Close { error: None });
                self.phase = Phase::Ended;
            }
            (Phase::Opening, _) => {
                let e = errors::error(AmqpError::IllegalState, "the first frame is not an open");
                self.close(e, store, now);
            }
            (Phase::Opened, Performative::Open(_)) => {
                let e = errors::error(AmqpError::IllegalState, "a second open");
                self.close(e, store, now);
            }
            (Phase::Opened, Performative::Begin(begin)) => {
                self.on_begin(channel, &begin, store, now);
            }
            (Phase::Opened, Performative::End(_)) => self.on_end(channel, store, now),
            (Phase::Opened, other) => {
                if self.sessions.contains_key(&channel) {
                    self.with_session(channel, store, now, |session, context| {
                        session.on_performative(other, frame.payload, context)
                    });
                } else {
                    let e = errors::error(
                        AmqpError::NotAllowed,
                        format!("channel {channel} has no session"),
                    );
                    self.close(e, store, now);
                }
            }
        }
    }

    fn on_open(&mut self, open: &Open) {
        self.peer.max_frame_size = open.max_frame_size.0.max(MIN_MAX_FRAME_SIZE);
        self.peer.idle_timeout = open
            .idle_time_out
            .filter(|ms| *ms > 0)
            .map(|ms| Duration::from_millis(ms.into()));
        self.send_open();
    }

    /// Sends the open; the connection is open for the broker then.
    pub(super) fn send_open(&mut self) {
        let options = &self.shared.options;
        let own = || (PRODUCT.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let (product, version) = options.pose_as.clone().unwrap_or_else(own);
        let mut capabilities = vec![Symbol::from(ANONYMOUS_RELAY)];
        if product == "RabbitMQ" {
            capabilities.push(Symbol::from("LINK_PAIR_V1_0"));
        }
        let properties: Fields = [
            ("product", product),
            ("version", version),
            (
                "platform",
                format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            ),
        ]
        .into_iter()
        .map(|(key, value)| (Symbol::from(key), Value::String(value)))
        .collect();
        let idle = u32::try_from(options.idle_timeout.as_millis()).unwrap_or(u32::MAX);
        let open = Open {
            container_id: self.shared.container_id.clone(),
            hostname: None,
            max_frame_size: options.max_frame_size.max(MIN_MAX_FRAME_SIZE).into(),
            channel_max: options.max_sessions.saturating_sub(1).into(),
            idle_time_out: (idle > 0).then_some(idle),
            outgoing_locales: None,
            incoming_locales: None,
            offered_capabilities: Some(Array::from(capabilities)),
            desired_capabilities: None,
            properties: Some(properties),
        };
        self.phase = match frame::encode(&mut self.out, 0, &open) {
            Ok(()) => Phase::Opened,
            Err(_) => Phase::Ended,
        };
    }

    fn on_begin(&mut self, channel: u16, begin: &Begin, store: &mut Store, now: u64) {
        let error = if channel >= self.shared.options.max_sessions {
            let e = format!("channel {channel} is beyond channel-max");
            Some(errors::error(ConnectionError::FramingError, e))
        } else if self.sessions.contains_key(&channel) {
            let e = format!("channel {channel} has a session already");
            Some(errors::error(AmqpError::NotAllowed, e))
        } else {
            None
        };
        if let Some(error) = error {
            return self.close(error, store, now);
        }
        let (session, answer) = Session::begin(channel, begin, &self.shared.options);
        if frame::encode(&mut self.out, channel, &answer).is_err() {
            self.phase = Phase::Ended;
        }
        self.sessions.insert(channel, session);
    }

    fn on_end(&mut self, channel: u16, store: &mut Store, now: u64) {
        self.with_session(channel, store, now, |session, context| {
            session.flush_settling(context)?;
            session.drop_links(context);
            context.put(channel, &End { error: None })
        });
        // One that the broker had ended is ended on both sides now.
        self.sessions.remove(&channel);
    }
}

impl Session {
    fn on_performative(
        &mut self,
        performative: Performative,
        payload: bytes::Bytes,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        match performative {
            Performative::Attach(attach) => self.on_attach(attach, context),
            Performative::Transfer(transfer) => self.on_transfer(&transfer, payload, context),
            Performative::Disposition(disposition) => self.on_disposition(disposition, context),
            Performative::Flow(flow) => self.on_flow(&flow, context),
            Performative::Detach(detach) => {
                // What was sent on the link is settled before it goes.
                self.flush_settling(context)?;
                self.on_detach(&detach, context)
            }
            Performative::Open(_)
            | Performative::Begin(_)
            | Performative::End(_)
            | Performative::Close(_) => Ok(()),
        }
    }

    fn on_flow(&mut self, flow: &Flow, context: &mut Context<'_>) -> Result<(), Fault> {
        self.windows.update(flow);
        let Some(handle) = &flow.handle else {
            if flow.echo {
                let answer = self.windows.flow();
                context.put(self.channel, &answer)?;
            }
            return Ok(());
        };
        let handle = handle.0;
        let link = self.links.get(&handle).ok_or_else(|| unattached(handle))?;
        match &link.kind {
            Kind::Outgoing(_) => self.on_receiver_flow(handle, flow, context),
            Kind::Incoming(_) if flow.echo => {
                let answer = self.link_flow(handle, 0);
                context.put(self.channel, &answer)
            }
            Kind::Incoming(_) | Kind::Detached => Ok(()),
        }
    }
}
