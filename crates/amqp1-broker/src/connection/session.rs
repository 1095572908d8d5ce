//! A session (AMQP 1.0 section 2.5): its windows, its links, and what waits to be sent on it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bytes::BytesMut;
use fe2o3_amqp_types::definitions::{AmqpError, Error, Handle, SessionError};
use fe2o3_amqp_types::performatives::{Begin, Detach, End, Flow};
use serde::Serialize;

use super::incoming::Settling;
use super::link::{Kind, Link};
use super::outgoing::{Pending, Unsettled};
use crate::broker::Shared;
use crate::model::consumers::LinkId;
use crate::model::errors;
use crate::model::outcome::Loss;
use crate::model::store::{ConnectionId, Store};
use crate::wire::frame;

/// Transfer frames that a peer may send before it hears of more.
const INCOMING_WINDOW: u32 = 2048;
/// Transfer frames the broker has room for: it sends what it has.
const OUTGOING_WINDOW: u32 = i32::MAX as u32;
/// Where outgoing delivery numbers start, counted on without wrapping; the wire has the low half.
const FIRST_DELIVERY: u64 = 1 << 32;

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
    /// Which session and handle a link of the store is.
    pub(super) routes: &'a mut HashMap<LinkId, (u16, u32)>,
    /// Consumers whose receivers have asked for a drain.
    pub(super) draining: &'a mut BTreeSet<LinkId>,
}

impl Context<'_> {
    /// Appends a frame.
    pub(super) fn put(&mut self, channel: u16, performative: &impl Serialize) -> Result<(), Fault> {
        frame::encode(self.out, channel, performative).map_err(|e| {
            Fault::Connection(errors::error(
                AmqpError::InternalError,
                format!("a frame was not encoded: {e}"),
            ))
        })
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
    next_incoming_id: u32,
    incoming_window: u32,
    next_outgoing_id: u32,
    remote_incoming_window: u32,
    /// Number of the next outgoing delivery; see [`FIRST_DELIVERY`].
    next_delivery: u64,
    pub(super) unsettled: BTreeMap<u64, Unsettled>,
    pub(super) pending: VecDeque<Pending>,
    pub(super) settling: Settling,
}

impl Session {
    /// Answers a begin.
    pub(super) fn begin(
        channel: u16,
        begin: &Begin,
        context: &mut Context<'_>,
    ) -> Result<Self, Fault> {
        let session = Self {
            channel,
            links: BTreeMap::new(),
            is_ended: false,
            next_incoming_id: begin.next_outgoing_id,
            incoming_window: INCOMING_WINDOW,
            next_outgoing_id: 0,
            remote_incoming_window: begin.incoming_window,
            next_delivery: FIRST_DELIVERY,
            unsettled: BTreeMap::new(),
            pending: VecDeque::new(),
            settling: Settling::default(),
        };
        let answer = Begin {
            remote_channel: Some(channel),
            next_outgoing_id: session.next_outgoing_id,
            incoming_window: INCOMING_WINDOW,
            outgoing_window: OUTGOING_WINDOW,
            handle_max: Handle(context.shared.options.max_links.saturating_sub(1)),
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        };
        context.put(channel, &answer)?;
        Ok(session)
    }

    /// Counts an incoming transfer frame (section 2.5.6).
    pub(super) fn count_incoming(&mut self) -> Result<(), Fault> {
        self.next_incoming_id = self.next_incoming_id.wrapping_add(1);
        match self.incoming_window.checked_sub(1) {
            Some(left) => {
                self.incoming_window = left;
                Ok(())
            }
            None => Err(Fault::Session(errors::error(
                SessionError::WindowViolation,
                "a transfer was sent beyond the session's incoming window",
            ))),
        }
    }

    /// Takes one transfer frame of the peer's window; false when it is used up.
    pub(super) fn take_outgoing(&mut self) -> bool {
        match self.remote_incoming_window.checked_sub(1) {
            Some(left) => {
                self.remote_incoming_window = left;
                self.next_outgoing_id = self.next_outgoing_id.wrapping_add(1);
                true
            }
            None => false,
        }
    }

    /// Takes the session's part of a flow.
    pub(super) fn update_window(&mut self, flow: &Flow) {
        // Without next-incoming-id the peer has not seen the begin: it counts from the start (0).
        let room = flow
            .next_incoming_id
            .unwrap_or(0)
            .wrapping_add(flow.incoming_window)
            .wrapping_sub(self.next_outgoing_id);
        // A flow that crossed transfers which used the window up gives less than nothing.
        self.remote_incoming_window = if room > i32::MAX as u32 && flow.incoming_window < room {
            0
        } else {
            room
        };
    }

    /// A flow of this session; the caller adds a link's part.
    pub(super) fn flow(&self) -> Flow {
        Flow {
            next_incoming_id: Some(self.next_incoming_id),
            incoming_window: self.incoming_window,
            next_outgoing_id: self.next_outgoing_id,
            outgoing_window: OUTGOING_WINDOW,
            handle: None,
            delivery_count: None,
            link_credit: None,
            available: None,
            drain: false,
            echo: false,
            properties: None,
        }
    }

    /// Refreshes the incoming window and senders' credit where half is used; to be called after a
    /// batch of frames.
    pub(super) fn refresh(&mut self, context: &mut Context<'_>) -> Result<(), Fault> {
        let mut is_told = self.incoming_window > INCOMING_WINDOW / 2;
        if !is_told {
            self.incoming_window = INCOMING_WINDOW;
        }
        let full = context.shared.options.publisher_credit.max(1);
        let handles: Vec<u32> = self
            .links
            .iter_mut()
            .filter_map(|(handle, link)| link.top_up(full).then_some(*handle))
            .collect();
        for handle in handles {
            is_told = true;
            let flow = self.link_flow(handle, 0, false);
            context.put(self.channel, &flow)?;
        }
        if !is_told {
            let flow = self.flow();
            context.put(self.channel, &flow)?;
        }
        Ok(())
    }

    /// A flow with this link's state.
    pub(super) fn link_flow(&self, handle: u32, available: u32, drain: bool) -> Flow {
        let mut flow = self.flow();
        if let Some(link) = self.links.get(&handle) {
            let (delivery_count, credit) = link.flow_state();
            flow.handle = Some(Handle(handle));
            flow.delivery_count = Some(delivery_count);
            flow.link_credit = Some(credit);
            flow.available = Some(available);
            flow.drain = drain;
        }
        flow
    }

    /// Numbers an outgoing delivery.
    pub(super) fn take_delivery(&mut self) -> u64 {
        let delivery = self.next_delivery;
        self.next_delivery += 1;
        delivery
    }

    /// The delivery that a number of the wire means; `None` for one that was not sent.
    pub(super) fn delivery(&self, id: u32) -> Option<u64> {
        let behind = (self.next_delivery as u32).wrapping_sub(id);
        if behind == 0 || behind > i32::MAX as u32 {
            return None;
        }
        self.next_delivery.checked_sub(behind.into())
    }

    /// The last delivery sent.
    pub(super) fn last_delivery(&self) -> u64 {
        self.next_delivery - 1
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
        let answer = Detach {
            handle: Handle(handle),
            closed: detach.closed,
            error: None,
        };
        context.put(self.channel, &answer)
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
        let detach = Detach {
            handle: Handle(handle),
            closed: true,
            error: Some(error),
        };
        context.put(self.channel, &detach)
    }

    fn forget(&mut self, link: &Link, context: &mut Context<'_>) {
        context.routes.remove(&link.id);
        context.draining.remove(&link.id);
        self.unsettled
            .retain(|_, unsettled| unsettled.link != link.id);
        self.pending.retain(|pending| pending.link() != link.id);
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
            context.routes.remove(&link.id);
            context.draining.remove(&link.id);
            context.store.detach(link.id, Loss::Connection, context.now);
        }
        self.unsettled.clear();
        self.pending.clear();
    }
}

/// The fault of a frame for a handle that has no link.
pub(super) fn unattached(handle: u32) -> Fault {
    Fault::Session(errors::error(
        SessionError::UnattachedHandle,
        format!("no link has handle {handle}"),
    ))
}
