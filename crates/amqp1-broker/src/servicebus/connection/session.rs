//! A session: its windows, its links, and what waits to be sent on it.

use std::collections::BTreeMap;

use bytes::BytesMut;
use fe2o3_amqp_types::definitions::Error;
use fe2o3_amqp_types::performatives::{Begin, Detach, End, Flow, Performative};
use serde::Serialize;

use super::access::Access;
use super::link::{Kind, Link};
use super::outgoing::Given;
use super::requests::Reply;
use super::settling::Unsettled;
use crate::amqp::deliveries::Deliveries;
use crate::amqp::endpoint::OfSession;
use crate::amqp::ids::ConnectionId;
use crate::amqp::outbox::Outbox;
use crate::amqp::routes::Routes;
use crate::amqp::windows::Windows;
use crate::amqp::{answers, errors};
use crate::servicebus::facts;
use crate::servicebus::shared::{Shared, State};
use crate::wire::frame;

/// What breaks, and what is therefore closed.
#[derive(Debug)]
pub(super) enum Fault {
    /// The link of this handle, by a closing detach.
    Link(u32, Error),
    Session(Error),
    Connection(Error),
    /// The stream, without a word.
    Reset,
    /// What the peer may reach.
    ExpireToken,
}

/// What handling a frame needs beside the session itself.
pub(super) struct Context<'a> {
    pub(super) shared: &'a Shared,
    pub(super) state: &'a mut State,
    pub(super) connection: ConnectionId,
    /// Unix milliseconds.
    pub(super) now: u64,
    pub(super) out: &'a mut BytesMut,
    pub(super) routes: &'a mut Routes,
    pub(super) access: &'a mut Access,
    /// Answers to requests, which may go out on another session.
    pub(super) replies: &'a mut Vec<Reply>,
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
    pub(super) outbox: Outbox<Given>,
}

impl Session {
    /// A session, and the answer to its begin.
    pub(super) fn begin(channel: u16, begin: &Begin) -> (Self, Begin) {
        let session = Self {
            channel,
            links: BTreeMap::new(),
            is_ended: false,
            windows: Windows::new(begin, facts::SESSION_WINDOW),
            deliveries: Deliveries::new(),
            outbox: Outbox::new(),
        };
        let answer = answers::begin(channel, facts::SESSION_WINDOW, facts::HANDLE_MAX);
        (session, answer)
    }

    pub(super) fn on_frame(
        &mut self,
        frame: OfSession,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
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
            Performative::Detach(detach) => self.on_detach(&detach, context),
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
                let mut links = all.into_iter().flatten().filter_map(|delivery| {
                    let link = self.deliveries.get(delivery)?.link;
                    context.routes.place(link)
                });
                links.next().map(|(_, handle)| handle)
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
            // A session's flow with echo is the peer's ping.
            if flow.echo {
                let answer = self.windows.flow();
                context.put(self.channel, &answer)?;
            }
            return Ok(());
        };
        let handle = handle.0;
        let link = self.links.get(&handle).ok_or_else(|| unattached(handle))?;
        match &link.kind {
            Kind::Outgoing(_) | Kind::Waiting(..) => self.on_receiver_flow(handle, flow, context),
            Kind::Incoming(_) if flow.echo => {
                let answer = self.link_flow(handle, 0);
                context.put(self.channel, &answer)
            }
            Kind::Incoming(_) | Kind::Detached => Ok(()),
        }
    }

    /// Refreshes the incoming window and senders' credit where half is used.
    pub(super) fn refresh(&mut self, context: &mut Context<'_>) -> Result<(), Fault> {
        if self.windows.refresh() {
            let flow = self.windows.flow();
            context.put(self.channel, &flow)?;
        }
        let topped_up: Vec<u32> = self
            .links
            .iter_mut()
            .filter_map(|(handle, link)| link.top_up(context.now).then_some(*handle))
            .collect();
        for handle in topped_up {
            let flow = self.link_flow(handle, 0);
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

    fn on_detach(&mut self, detach: &Detach, context: &mut Context<'_>) -> Result<(), Fault> {
        let handle = detach.handle.0;
        // Detaches that cross may leave one over: it says nothing that is not so already.
        let Some(link) = self.links.remove(&handle) else {
            return Ok(());
        };
        if matches!(link.kind, Kind::Detached) {
            return Ok(());
        }
        self.forget(&link, context);
        if let Kind::Waiting(attach, _) = link.kind {
            // A detach must follow an attach.
            self.answer_without_termini(*attach, context)?;
        }
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
        if matches!(link.kind, Kind::Detached) {
            self.links.insert(handle, link);
            return Ok(());
        }
        self.forget(&link, context);
        if let Kind::Waiting(attach, _) = std::mem::replace(&mut link.kind, Kind::Detached) {
            self.links.insert(handle, link);
            return self.refuse_attach(*attach, error, context);
        }
        self.links.insert(handle, link);
        context.put(self.channel, &answers::closing(handle, error))
    }

    /// Gives up a link. Messages that its receiver has got stay locked until their locks expire.
    fn forget(&mut self, link: &Link, context: &mut Context<'_>) {
        context.routes.remove(link.id);
        self.deliveries.retain(|u| u.link != link.id);
        for given in self.outbox.remove(link.id) {
            given.give_back(&mut context.state.namespace);
        }
        context.state.namespace.detach(link.id);
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
            self.forget(&link, context);
        }
    }
}

/// The fault of a frame for a handle that has no link.
pub(super) fn unattached(handle: u32) -> Fault {
    Fault::Session(errors::unattached(handle))
}
