//! A session (AMQP 1.0 section 2.5): its windows, its links, and its output queue. A dialect's own
//! behaviour is in its [`Manners`].

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use fe2o3_amqp_types::definitions::Error;
use fe2o3_amqp_types::performatives::{
    Attach, Begin, Detach, Disposition, End, Flow, Performative, Transfer,
};
use serde::Serialize;

use super::attachments::Attachments;
use super::deliveries::Deliveries;
use super::endpoint::SessionFrame;
use super::ids::{ConnectionId, LinkId};
use super::link::{Incoming, Kind, Link, Outgoing, Source};
use super::outbox::{Outbox, Waiting};
use super::parts::{Model, Parts};
use super::shared::Shared;
use super::windows::Windows;
use super::{answers, errors};
use crate::wire::frame;
use crate::wire::transfer::Payload;

/// A dialect's own behaviour for sessions.
pub(crate) trait Manners: Parts {
    /// Transfer frames that a peer may send before the broker refreshes the window.
    const INCOMING_WINDOW: u32;
    /// Whether a refreshed window is sent in a flow of its own, even if a link's flow would carry
    /// it.
    const TELLS_WINDOW_ALONE: bool;
    type Tag: AsRef<[u8]>;

    /// The highest handle of a session.
    fn handle_max(&self) -> u32;

    /// Attaches a link. `refused` says why the frame itself rules it out, if it does.
    fn on_attach(
        session: &mut Session<Self>,
        attach: Attach,
        refused: Option<Error>,
        context: &mut Context<'_, Self>,
    ) -> Done<Self>;

    fn on_transfer(
        session: &mut Session<Self>,
        transfer: &Transfer,
        payload: Bytes,
        context: &mut Context<'_, Self>,
    ) -> Done<Self>;

    /// Handles a disposition. One that does not settle is answered with one that does.
    fn on_disposition(
        session: &mut Session<Self>,
        disposition: Disposition,
        context: &mut Context<'_, Self>,
    ) -> Done<Self>;

    /// The answer to an attach.
    fn answer(&self, attach: Attach) -> Attach;

    /// Called when something happens on a link.
    fn on_move(_of: &mut Self::OfLink, _now: u64) {}

    /// Restores a sender's full credit once half of it is used; true if the peer must be told.
    fn top_up(&self, incoming: &mut Incoming<Self>, now: u64) -> bool;

    /// Sends delayed dispositions.
    fn flush(_session: &mut Session<Self>, _context: &mut Context<'_, Self>) -> Done<Self> {
        Ok(())
    }

    /// The tag of a delivery whose first frame is about to be sent, and the data that its receiver
    /// needs to settle it, unless the delivery is pre-settled.
    fn begin(
        outgoing: &mut Outgoing<Self>,
        given: &Self::Given,
    ) -> (Self::Tag, Option<Self::Unsettled>);

    /// Returns a delivery that will not be sent.
    fn give_back(model: &mut Self::Model, link: LinkId, given: Self::Given);

    /// Forgets a link. `is_over` is true if its session or connection has ended, false if it was
    /// detached.
    fn forget(model: &mut Self::Model, link: LinkId, is_over: bool, now: u64);
}

/// A protocol fault, and thus what must be closed.
#[derive(Debug)]
pub(crate) enum Fault<F> {
    /// Close the link with this handle, by a detach.
    Link(u32, Error),
    Session(Error),
    Connection(Error),
    OfDialect(F),
}

/// The result of handling a frame.
pub(crate) type Done<P> = Result<(), Fault<<P as Parts>::Fault>>;

/// The context that handling a frame needs: everything except the session.
pub(crate) struct Context<'a, P: Parts> {
    pub(crate) shared: &'a Shared<P>,
    pub(crate) model: &'a mut P::Model,
    pub(crate) connection: ConnectionId,
    /// Unix milliseconds.
    pub(crate) now: u64,
    pub(super) out: &'a mut BytesMut,
    pub(crate) attachments: &'a mut Attachments,
    /// The dialect's part of the connection.
    pub(crate) of: &'a mut P::OfConnection,
}

impl<P: Parts> Context<'_, P> {
    /// Appends a frame.
    pub(crate) fn put(&mut self, channel: u16, performative: &impl Serialize) -> Done<P> {
        frame::encode(self.out, channel, performative)
            .map_err(|e| Fault::Connection(errors::not_encoded(&e)))
    }
}

/// A delivery that was sent and that its receiver has not settled.
#[derive(Debug)]
pub(crate) struct Unsettled<U> {
    pub(crate) link: LinkId,
    pub(crate) handle: u32,
    pub(crate) of: U,
}

#[derive(Debug)]
pub(crate) struct Session<P: Parts> {
    /// The channel, the same number in both directions.
    pub(crate) channel: u16,
    /// By the peer's handle; the broker uses the same number.
    pub(crate) links: BTreeMap<u32, Link<P>>,
    /// The broker has ended the session, the peer has not: frames are ignored.
    pub(crate) is_ended: bool,
    pub(crate) windows: Windows,
    pub(crate) deliveries: Deliveries<Unsettled<P::Unsettled>>,
    pub(crate) outbox: Outbox<P::Given>,
    pub(crate) of: P::OfSession,
}

impl<P: Manners> Session<P> {
    /// Creates a session, and the answer to its begin.
    pub(super) fn begin(channel: u16, begin: &Begin, settings: &P) -> (Self, Begin) {
        let session = Self {
            channel,
            links: BTreeMap::new(),
            is_ended: false,
            windows: Windows::new(begin, P::INCOMING_WINDOW),
            deliveries: Deliveries::new(),
            outbox: Outbox::new(),
            of: P::OfSession::default(),
        };
        let answer = answers::begin(channel, P::INCOMING_WINDOW, settings.handle_max());
        (session, answer)
    }

    pub(super) fn on_frame(
        &mut self,
        frame: SessionFrame,
        context: &mut Context<'_, P>,
    ) -> Done<P> {
        if let Some(what) = frame.unknown {
            return self.refuse_unknown(frame.performative, &what, context);
        }
        match frame.performative {
            Performative::Attach(attach) => P::on_attach(self, attach, None, context),
            Performative::Transfer(transfer) => {
                P::on_transfer(self, &transfer, frame.payload, context)
            }
            Performative::Disposition(disposition) => P::on_disposition(self, disposition, context),
            Performative::Flow(flow) => self.on_flow(&flow, context),
            Performative::Detach(detach) => {
                // Deliveries received on the link are settled before it goes.
                P::flush(self, context)?;
                self.on_detach(&detach, context)
            }
            Performative::Open(_)
            | Performative::Begin(_)
            | Performative::End(_)
            | Performative::Close(_) => Ok(()),
        }
    }

    /// Refuses a link whose frame contains an unknown type.
    fn refuse_unknown(
        &mut self,
        performative: Performative,
        what: &str,
        context: &mut Context<'_, P>,
    ) -> Done<P> {
        let error = errors::not_known(what);
        let handle = match performative {
            Performative::Attach(attach) => {
                return P::on_attach(self, attach, Some(error), context)
            }
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

    fn on_flow(&mut self, flow: &Flow, context: &mut Context<'_, P>) -> Done<P> {
        self.windows.update(flow);
        let Some(handle) = &flow.handle else {
            // A session flow with echo is the peer's ping.
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

    /// Handles a receiver's flow: its credit, and whether it asks for a drain.
    fn on_receiver_flow(
        &mut self,
        handle: u32,
        flow: &Flow,
        context: &mut Context<'_, P>,
    ) -> Done<P> {
        let Some(link) = self.links.get_mut(&handle) else {
            return Ok(());
        };
        P::on_move(&mut link.of, context.now);
        let id = link.id;
        let (Kind::Outgoing(outgoing) | Kind::Waiting(_, outgoing)) = &mut link.kind else {
            return Ok(());
        };
        outgoing.credit.update(flow);
        let spare = outgoing.credit.spare();
        let is_queue = matches!(outgoing.source, Source::Queue(_));
        context.attachments.set_draining(id, flow.drain);
        if is_queue {
            if spare < 0 {
                self.take_back(handle, id, spare.unsigned_abs(), context);
            }
            context.model.set_credit(id, spare.max(0) as u32);
        } else {
            self.send_replies(handle, None);
        }
        if flow.echo && !flow.drain {
            let available = context.model.available(id);
            let answer = self.link_flow(handle, available);
            context.put(self.channel, &answer)?;
        }
        Ok(())
    }

    /// Returns the last `n` deliveries of a link that have not begun to their queue.
    fn take_back(&mut self, handle: u32, link: LinkId, n: u32, context: &mut Context<'_, P>) {
        let taken = self.outbox.take_back(link, n);
        if let Some(outgoing) = self.outgoing(handle, link) {
            outgoing.credit.take_back(taken.len());
        }
        for given in taken {
            P::give_back(context.model, link, given);
        }
    }

    /// Answers a drain once the link has received all available messages; `left` is the credit of
    /// its queue that remains.
    pub(super) fn drained(&mut self, handle: u32, link: LinkId, left: u32) {
        let Some(outgoing) = self.outgoing(handle, link) else {
            return;
        };
        let left = match outgoing.source {
            Source::Queue(_) => left,
            Source::Replies(_) => outgoing.credit.spare().max(0) as u32,
        };
        let count = outgoing.credit.drain(left);
        self.outbox.push_drained(link, handle, count, &self.windows);
    }

    /// The broker's end of a link whose peer receives; `None` if another link now has the handle.
    pub(crate) fn outgoing(&mut self, handle: u32, link: LinkId) -> Option<&mut Outgoing<P>> {
        match &mut self.links.get_mut(&handle).filter(|l| l.id == link)?.kind {
            Kind::Outgoing(outgoing) => Some(outgoing),
            _ => None,
        }
    }

    /// Queues answers to requests as far as credit allows; a new one goes last.
    pub(crate) fn send_replies(&mut self, handle: u32, new: Option<Payload>) {
        let Some(link) = self.links.get_mut(&handle) else {
            return;
        };
        if let Kind::Outgoing(outgoing) = &mut link.kind {
            if let Source::Replies(replies) = &mut outgoing.source {
                replies.extend(new);
                self.outbox
                    .push_replies(link.id, handle, replies, &mut outgoing.credit);
            }
        }
    }

    /// Sends one frame of a delivery; true if more frames follow.
    pub(crate) fn send_frame(
        &mut self,
        waiting: &mut Waiting<P::Given>,
        out: &mut BytesMut,
        max_frame_size: u32,
    ) -> bool {
        if waiting.is_begun {
            return waiting.send_next(out, self.channel, max_frame_size);
        }
        let (link, handle) = (waiting.link, waiting.handle);
        let Some(outgoing) = self.outgoing(handle, link) else {
            return false;
        };
        outgoing.credit.begin();
        let (tag, of) = P::begin(outgoing, &waiting.of);
        let of = of.filter(|_| !waiting.pre_settled);
        let unsettled = of.map(|of| Unsettled { link, handle, of });
        let first = (self.deliveries.begin(unsettled), tag.as_ref());
        waiting.send_first(out, self.channel, first, max_frame_size)
    }

    /// Refreshes the incoming window and senders' credit if half is used. Call it after a batch of
    /// frames.
    pub(super) fn refresh(&mut self, context: &mut Context<'_, P>) -> Done<P> {
        P::flush(self, context)?;
        let mut is_untold = self.windows.refresh();
        if is_untold && P::TELLS_WINDOW_ALONE {
            is_untold = false;
            let flow = self.windows.flow();
            context.put(self.channel, &flow)?;
        }
        let (settings, now) = (&context.shared.settings, context.now);
        let is_topped_up = |link: &mut Link<P>| match &mut link.kind {
            Kind::Incoming(incoming) => settings.top_up(incoming, now),
            _ => false,
        };
        let links = self.links.iter_mut();
        let topped_up: Vec<u32> = links
            .filter_map(|(handle, link)| is_topped_up(link).then_some(*handle))
            .collect();
        for handle in topped_up {
            // A link's flow also carries the session's window.
            is_untold = false;
            let flow = self.link_flow(handle, 0);
            context.put(self.channel, &flow)?;
        }
        if is_untold {
            let flow = self.windows.flow();
            context.put(self.channel, &flow)?;
        }
        Ok(())
    }

    /// A flow with this link's state.
    pub(crate) fn link_flow(&self, handle: u32, available: u32) -> Flow {
        let state = self.links.get(&handle).map(Link::flow_state);
        match state {
            Some(state) => self.windows.link_flow(handle, state, available),
            None => self.windows.flow(),
        }
    }

    /// Refuses a link: answers with an attach without termini and a closing detach with the error,
    /// as section 2.6.3 requires. Other links on the session are unaffected.
    pub(crate) fn refuse(
        &mut self,
        attach: Attach,
        error: Error,
        context: &mut Context<'_, P>,
    ) -> Done<P> {
        let handle = attach.handle.0;
        self.answer_without_termini(attach, context)?;
        context.put(self.channel, &answers::closing(handle, error))
    }

    /// Answers a refused attach; a detach follows.
    fn answer_without_termini(&mut self, attach: Attach, context: &mut Context<'_, P>) -> Done<P> {
        let answer = answers::without_termini(context.shared.settings.answer(attach));
        context.put(self.channel, &answer)
    }

    fn on_detach(&mut self, detach: &Detach, context: &mut Context<'_, P>) -> Done<P> {
        let handle = detach.handle.0;
        // Crossing detaches can leave one over (fe2o3-amqp answers a refusal twice). It changes
        // nothing.
        let Some(link) = self.links.remove(&handle) else {
            return Ok(());
        };
        if matches!(link.kind, Kind::Detached) {
            return Ok(());
        }
        // Settlements before the detach count; only then do the unsettled deliveries return.
        self.forget(&link, context);
        if let Kind::Waiting(attach, _) = link.kind {
            // A detach must follow an attach.
            self.answer_without_termini(*attach, context)?;
        }
        context.put(self.channel, &answers::detach(detach))
    }

    /// Closes a link with a detach, and ignores its frames until the peer has detached too.
    pub(super) fn detach(
        &mut self,
        handle: u32,
        error: Error,
        context: &mut Context<'_, P>,
    ) -> Done<P> {
        let Some(mut link) = self.links.remove(&handle) else {
            return Ok(());
        };
        let kind = std::mem::replace(&mut link.kind, Kind::Detached);
        if !matches!(kind, Kind::Detached) {
            self.forget(&link, context);
        }
        self.links.insert(handle, link);
        match kind {
            Kind::Detached => Ok(()),
            Kind::Waiting(attach, _) => self.refuse(*attach, error, context),
            _ => context.put(self.channel, &answers::closing(handle, error)),
        }
    }

    fn forget(&mut self, link: &Link<P>, context: &mut Context<'_, P>) {
        context.attachments.remove(link.id);
        self.deliveries.retain(|u| u.link != link.id);
        for given in self.outbox.remove(link.id) {
            P::give_back(context.model, link.id, given);
        }
        P::forget(context.model, link.id, false, context.now);
    }

    /// Ends the session with an error, and ignores its frames until the peer has ended it too.
    pub(super) fn end(&mut self, error: Error, context: &mut Context<'_, P>) -> Done<P> {
        self.drop_links(context);
        self.is_ended = true;
        context.put(self.channel, &End { error: Some(error) })
    }

    /// Drops all links, because the session or its connection has ended.
    pub(super) fn drop_links(&mut self, context: &mut Context<'_, P>) {
        for (link, given) in self.outbox.remove_all() {
            P::give_back(context.model, link, given);
        }
        for link in std::mem::take(&mut self.links).into_values() {
            context.attachments.remove(link.id);
            P::forget(context.model, link.id, true, context.now);
        }
        self.deliveries.retain(|_| false);
    }
}

/// The fault for a frame with a handle that has no link.
pub(crate) fn unattached<F>(handle: u32) -> Fault<F> {
    Fault::Session(errors::unattached(handle))
}
