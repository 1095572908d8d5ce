//! What each performative does: open, begin, end and close here, the others in the session.

use fe2o3_amqp_types::definitions::Fields;
use fe2o3_amqp_types::performatives::{End, Flow, Open, Performative};
use serde_amqp::primitives::{Array, Symbol};
use serde_amqp::Value;

use super::link::Kind;
use super::session::{unattached, Context, Fault, Session};
use super::Connection;
use crate::amqp::endpoint::{Asked, OfSession};
use crate::amqp::errors;
use crate::rabbitmq::model::store::Store;
use crate::rabbitmq::shared::Shared;
use crate::wire::frame::{Frame, MIN_MAX_FRAME_SIZE};

/// Name of the product in the broker's open.
const PRODUCT: &str = "amqp1-broker";
/// Senders may name the address in each message
/// (<https://docs.oasis-open.org/amqp/anonterm/v1.0/anonterm-v1.0.html>).
const ANONYMOUS_RELAY: &str = "ANONYMOUS-RELAY";

impl Connection {
    pub(super) fn on_frame(&mut self, frame: Frame, store: &mut Store, now: u64) {
        let sessions = &self.sessions;
        let max_sessions = self.shared.settings.max_sessions;
        let has_session = |channel| sessions.contains_key(&channel);
        match self.endpoint.read(frame, max_sessions, has_session) {
            Asked::Nothing => {}
            Asked::Open => self.endpoint.send_open(&open(&self.shared)),
            Asked::Begin(channel, begin) => {
                let (session, answer) = Session::begin(channel, &begin, &self.shared.settings);
                self.endpoint.put(channel, &answer);
                self.sessions.insert(channel, session);
            }
            Asked::End(channel) => self.on_end(channel, store, now),
            Asked::OfSession(channel, frame) => {
                self.with_session(channel, store, now, |session, context| {
                    session.on_frame(frame, context)
                });
            }
            Asked::Close => {
                self.drop_sessions(store, now);
                self.endpoint.answer_close();
            }
            Asked::Broken(error) => self.close(error, store, now),
        }
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
    fn on_frame(&mut self, frame: OfSession, context: &mut Context<'_>) -> Result<(), Fault> {
        let payload = frame.payload;
        match frame.performative {
            performative if frame.unknown.is_some() => {
                let what = frame.unknown.unwrap_or_default();
                self.refuse_unknown(performative, &what, context)
            }
            Performative::Attach(attach) => self.on_attach(attach, None, context),
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

    /// Refuses the link whose frame has something of a type that is not known.
    fn refuse_unknown(
        &mut self,
        performative: Performative,
        what: &str,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let error = errors::not_known(what);
        let handle = match performative {
            Performative::Attach(attach) => return self.on_attach(attach, Some(error), context),
            Performative::Transfer(transfer) => {
                self.windows.count_incoming().map_err(Fault::Session)?;
                Some(transfer.handle.0)
            }
            Performative::Disposition(disposition) => {
                let meant = self.deliveries.meant(&disposition);
                let all = meant.map(|(first, last)| self.deliveries.between(first, last));
                let mut all = all.into_iter().flatten();
                all.find_map(|delivery| Some(self.deliveries.get(delivery)?.handle))
            }
            _ => None,
        };
        match handle {
            Some(handle) if !self.links.contains_key(&handle) => Err(unattached(handle)),
            Some(handle) => Err(Fault::Link(handle, error)),
            None => Ok(()),
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

/// The broker's open.
pub(super) fn open(shared: &Shared) -> Open {
    let settings = &shared.settings;
    let own = || (PRODUCT.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let (product, version) = settings.pose_as.clone().unwrap_or_else(own);
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
    let idle = u32::try_from(shared.timeouts.idle.as_millis()).unwrap_or(u32::MAX);
    Open {
        container_id: shared.container_id.clone(),
        hostname: None,
        max_frame_size: settings.max_frame_size.max(MIN_MAX_FRAME_SIZE).into(),
        channel_max: settings.max_sessions.saturating_sub(1).into(),
        idle_time_out: (idle > 0).then_some(idle),
        outgoing_locales: None,
        incoming_locales: None,
        offered_capabilities: Some(Array::from(capabilities)),
        desired_capabilities: None,
        properties: Some(properties),
    }
}
