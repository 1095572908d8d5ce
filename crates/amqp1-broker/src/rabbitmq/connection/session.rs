//! A session (AMQP 1.0 section 2.5): its windows, its links, and what waits to be sent on it.

use std::collections::BTreeMap;

use bytes::BytesMut;
use fe2o3_amqp_types::definitions::Error;
use fe2o3_amqp_types::performatives::{Begin, Detach, End, Flow};
use serde::Serialize;

use super::incoming::Settling;
use super::link::{Kind, Link};
use super::outgoing::Unsettled;
use crate::amqp::deliveries::Deliveries;
use crate::amqp::ids::ConnectionId;
use crate::amqp::outbox::Outbox;
use crate::amqp::routes::Routes;
use crate::amqp::windows::Windows;
use crate::amqp::{answers, errors};
use crate::rabbitmq::model::outcome::Loss;
use crate::rabbitmq::model::queue::Sequence;
use crate::rabbitmq::model::store::Store;
use crate::rabbitmq::settings::RabbitMq;
use crate::rabbitmq::shared::Shared;
use crate::wire::frame;

/// Transfer frames that a peer may send before it hears of more.
const INCOMING_WINDOW: u32 = 2048;

/// What breaks, and what is therefore closed.
#[derive(Debug)]
pub(super) enum Fault {
    /// The link of this handle, by a closing detach.
    Link(u32, Error),
    /// The session.
    Session(Error),
    /// The connection.
    Connection(Error),
}

/// What handling a frame needs beside the session itself.
pub(super) struct Context<'a> {
    pub(super) shared: &'a Shared,
    pub(super) store: &'a mut Store,
    pub(super) connection: ConnectionId,
    /// Unix milliseconds.
    pub(super) now: u64,
    pub(super) out: &'a mut BytesMut,
    pub(super) routes: &'a mut Routes,
}

impl Context<'_> {
    /// Appends a frame.
    pub(super) fn put(&mut self, channel: u16, performative: &impl Serialize) -> Result<(), Fault> {
        frame::encode(self.out, channel, performative)
            .map_err(|e| Fault::Connection(errors::not_encoded(&e)))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Session {
    /// The channel of both directions.
    pub(super) channel: u16,
    /// By the peer's handle, which is the broker's too.
    pub(super) links: BTreeMap<u32, Link>,
    /// The broker has ended it, the peer not yet: frames are passed over.
    pub(super) is_ended: bool,
    pub(super) windows: Windows,
    pub(super) deliveries: Deliveries<Unsettled>,
    /// Deliveries of a queue; `None` for answers of the management node.
    pub(super) outbox: Outbox<Option<Sequence>>,
    pub(super) settling: Settling,
}

impl Session {
    /// A session, and the answer to its begin.
    pub(super) fn begin(channel: u16, begin: &Begin, settings: &RabbitMq) -> (Self, Begin) {
        let session = Self {
            channel,
            links: BTreeMap::new(),
            is_ended: false,
            windows: Windows::new(begin, INCOMING_WINDOW),
            deliveries: Deliveries::new(),
            outbox: Outbox::new(),
            settling: Settling::default(),
        };
        let handle_max = settings.max_links.saturating_sub(1);
        let answer = answers::begin(channel, INCOMING_WINDOW, handle_max);
        (session, answer)
    }

    /// Refreshes the incoming window and senders' credit where half is used; to be called after a
    /// batch of frames.
    pub(super) fn refresh(&mut self, context: &mut Context<'_>) -> Result<(), Fault> {
        // A link's flow tells the session's part, too.
        let mut is_told = !self.windows.refresh();
        let full = context.shared.settings.publisher_credit.max(1);
        let handles: Vec<u32> = self
            .links
            .iter_mut()
            .filter_map(|(handle, link)| link.top_up(full).then_some(*handle))
            .collect();
        for handle in handles {
            is_told = true;
            let flow = self.link_flow(handle, 0);
            context.put(self.channel, &flow)?;
        }
        if !is_told {
            let flow = self.windows.flow();
            context.put(self.channel, &flow)?;
        }
        Ok(())
    }

    /// A flow with this link's state.
    pub(super) fn link_flow(&self, handle: u32, available: u32) -> Flow {
        let state = self.links.get(&handle).map(Link::flow_state);
        match state {
            Some(state) => self.windows.link_flow(handle, state, available),
            None => self.windows.flow(),
        }
    }

    /// Handles the peer's detach.
    pub(super) fn on_detach(
        &mut self,
        detach: &Detach,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let handle = detach.handle.0;
        // Detaches that cross may leave one over (fe2o3-amqp answers a refusal twice): it says
        // nothing that is not so already.
        let Some(link) = self.links.remove(&handle) else {
            return Ok(());
        };
        if matches!(link.kind, Kind::Detached) {
            return Ok(());
        }
        // What the peer settled before it detached counts before what it holds returns.
        self.forget(&link, context);
        context.put(self.channel, &answers::detach(detach))
    }

    /// Detaches a link, closed, and passes over what comes for it until the peer has detached too.
    pub(super) fn detach(
        &mut self,
        handle: u32,
        error: Error,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let Some(mut link) = self.links.remove(&handle) else {
            return Ok(());
        };
        self.forget(&link, context);
        link.kind = Kind::Detached;
        self.links.insert(handle, link);
        context.put(self.channel, &answers::closing(handle, error))
    }

    fn forget(&mut self, link: &Link, context: &mut Context<'_>) {
        context.routes.remove(link.id);
        self.deliveries.retain(|u| u.link != link.id);
        // They return to their queue with all else that the link holds.
        self.outbox.remove(link.id);
        context.store.detach(link.id, Loss::Detached, context.now);
    }

    /// Ends the session with an error and passes over what comes on it until the peer has ended it
    /// too.
    pub(super) fn end(&mut self, error: Error, context: &mut Context<'_>) -> Result<(), Fault> {
        self.drop_links(context);
        self.is_ended = true;
        context.put(self.channel, &End { error: Some(error) })
    }

    /// Gives up all links, because the session or its connection has ended.
    pub(super) fn drop_links(&mut self, context: &mut Context<'_>) {
        for link in std::mem::take(&mut self.links).into_values() {
            context.routes.remove(link.id);
            context.store.detach(link.id, Loss::Connection, context.now);
        }
        self.deliveries.retain(|_| false);
        self.outbox = Outbox::new();
    }
}

/// The fault of a frame for a handle that has no link.
pub(super) fn unattached(handle: u32) -> Fault {
    Fault::Session(errors::unattached(handle))
}
