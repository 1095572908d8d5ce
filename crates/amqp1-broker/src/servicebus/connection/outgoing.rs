//! Deliveries that go out, as windows and credit allow.

use bytes::BytesMut;
use fe2o3_amqp_types::definitions::Handle;
use fe2o3_amqp_types::performatives::Flow;

use super::link::{Kind, Outgoing, Source};
use super::session::{Context, Fault, Session};
use super::settling::Unsettled;
use crate::model::consumers::LinkId;
use crate::servicebus::faults::{Action, Point};
use crate::servicebus::model::namespace::{Namespace, NodeId};
use crate::servicebus::model::queue::Assignment;
use crate::servicebus::model::token::LockToken;
use crate::wire::frame;
use crate::wire::transfer::{self, Payload, Start};

/// Something that waits in a session for its turn on the wire.
#[derive(Debug)]
pub(super) enum Pending {
    Delivery(Box<Waiting>),
    /// The answer to a drain; it goes behind the deliveries that came before it.
    Drained {
        link: LinkId,
        flow: Flow,
    },
}

/// A delivery that waits, or is being sent.
#[derive(Debug)]
pub(super) struct Waiting {
    link: LinkId,
    handle: u32,
    /// `None` for an answer to a request.
    lock: Option<(NodeId, LockToken)>,
    pre_settled: bool,
    payload: Payload,
    is_begun: bool,
    /// The stream ends in the middle of it.
    is_cut: bool,
}

impl Pending {
    pub(super) fn link(&self) -> LinkId {
        match self {
            Self::Delivery(waiting) => waiting.link,
            Self::Drained { link, .. } => *link,
        }
    }

    /// Returns a delivery that will not be sent.
    pub(super) fn give_back(self, namespace: &mut Namespace) {
        if let Self::Delivery(waiting) = self {
            if let Some((node, token)) = waiting.lock {
                namespace.unassign(node, token);
            }
        }
    }
}

impl Session {
    pub(super) fn outgoing(&mut self, handle: u32, link: LinkId) -> Option<&mut Outgoing> {
        match self.links.get_mut(&handle).filter(|l| l.id == link) {
            Some(link) => match &mut link.kind {
                Kind::Outgoing(outgoing) => Some(outgoing),
                _ => None,
            },
            None => None,
        }
    }

    /// Takes a delivery from the namespace.
    pub(super) fn on_delivery(
        &mut self,
        handle: u32,
        node: NodeId,
        given: Assignment,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let Some(link) = self.links.get_mut(&handle) else {
            return Ok(());
        };
        link.active_at = context.now;
        let token = given.token;
        let action = context.fault(Point::Receive, &link.address);
        self.enqueue(handle, node, given, action == Some(Action::Cut));
        match action.map(|action| action.into_fault(handle)) {
            Some(Ok(fault)) => Err(fault),
            Some(Err(Action::LoseLock)) => {
                if let Some(queue) = context.state.namespace.queue_mut(node) {
                    queue.lose(token);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn enqueue(&mut self, handle: u32, node: NodeId, given: Assignment, is_cut: bool) {
        let Some(outgoing) = self.outgoing(handle, given.link) else {
            return;
        };
        outgoing.unsent += 1;
        self.pending.push_back(Pending::Delivery(Box::new(Waiting {
            link: given.link,
            handle,
            lock: Some((node, given.token)),
            pre_settled: given.pre_settled,
            payload: given.message.payload(&given.stamp),
            is_begun: false,
            is_cut,
        })));
    }

    /// Takes an answer to a request, which waits for credit on its link.
    pub(super) fn enqueue_reply(&mut self, handle: u32, reply: Vec<u8>) {
        if let Some(link) = self.links.get_mut(&handle) {
            if let Kind::Outgoing(outgoing) = &mut link.kind {
                if let Source::Replies(replies) = &mut outgoing.source {
                    replies.push_back(reply);
                }
            }
        }
        self.send_replies(handle);
    }

    /// Lets answers go as far as there is credit.
    fn send_replies(&mut self, handle: u32) {
        let Some(link) = self.links.get_mut(&handle) else {
            return;
        };
        let Kind::Outgoing(outgoing) = &mut link.kind else {
            return;
        };
        while outgoing.spare() > 0 {
            let Source::Replies(replies) = &mut outgoing.source else {
                return;
            };
            let Some(reply) = replies.pop_front() else {
                return;
            };
            outgoing.unsent += 1;
            self.pending.push_back(Pending::Delivery(Box::new(Waiting {
                link: link.id,
                handle,
                lock: None,
                pre_settled: true,
                payload: Payload::new(reply.into(), Default::default(), Default::default()),
                is_begun: false,
                is_cut: false,
            })));
        }
    }

    /// Takes a receiver's flow: its credit, and whether it asks for a drain.
    pub(super) fn on_receiver_flow(
        &mut self,
        handle: u32,
        flow: &Flow,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let Some(link) = self.links.get_mut(&handle) else {
            return Ok(());
        };
        let id = link.id;
        link.active_at = context.now;
        let (Kind::Outgoing(outgoing) | Kind::Waiting(_, outgoing)) = &mut link.kind else {
            return Ok(());
        };
        if let Some(credit) = flow.link_credit {
            // Without delivery-count the receiver has not seen the attach: it counts from 0.
            outgoing.limit = flow.delivery_count.unwrap_or(0).wrapping_add(credit);
        }
        let spare = outgoing.spare();
        let is_queue = matches!(outgoing.source, Source::Queue(_));
        if flow.drain {
            context.draining.insert(id);
        } else {
            context.draining.remove(&id);
        }
        if is_queue {
            if spare < 0 {
                self.take_back(handle, id, spare.unsigned_abs(), context);
            }
            let namespace = &mut context.state.namespace;
            namespace.set_credit(id, spare.max(0) as u32);
        } else {
            self.send_replies(handle);
        }
        if flow.echo && !flow.drain {
            let available = context.state.namespace.available(id);
            let answer = self.link_flow(handle, available);
            context.put(self.channel, &answer)?;
        }
        Ok(())
    }

    /// Returns the last `n` deliveries of a link that were not begun to their queue.
    fn take_back(&mut self, handle: u32, link: LinkId, n: u32, context: &mut Context<'_>) {
        let mut left = n;
        let mut kept = std::collections::VecDeque::with_capacity(self.pending.len());
        while let Some(pending) = self.pending.pop_back() {
            let is_it = matches!(&pending, Pending::Delivery(w) if w.link == link && !w.is_begun);
            if left > 0 && is_it {
                left -= 1;
                pending.give_back(&mut context.state.namespace);
            } else {
                kept.push_front(pending);
            }
        }
        self.pending = kept;
        if let Some(outgoing) = self.outgoing(handle, link) {
            outgoing.unsent = outgoing.unsent.saturating_sub(n - left);
        }
    }

    /// A draining link has been given what there is, and this much credit is left over; `None`: as
    /// much as it has.
    pub(super) fn drained(&mut self, handle: u32, link: LinkId, left: Option<u32>) {
        let Some(outgoing) = self.outgoing(handle, link) else {
            return;
        };
        let left = left.unwrap_or_else(|| outgoing.spare().max(0) as u32);
        outgoing.delivery_count = outgoing.delivery_count.wrapping_add(left);
        let final_count = outgoing.delivery_count.wrapping_add(outgoing.unsent);
        let mut flow = self.windows.flow();
        flow.handle = Some(Handle(handle));
        flow.delivery_count = Some(final_count);
        flow.link_credit = Some(0);
        flow.available = Some(0);
        flow.drain = true;
        self.pending.push_back(Pending::Drained { link, flow });
    }

    /// Sends what waits, as far as the peer's window and the write buffer's room go. False when
    /// the stream ends here, in the middle of a frame.
    pub(super) fn pump(
        &mut self,
        out: &mut BytesMut,
        room: usize,
        max_frame_size: u32,
        sent: &mut Vec<(NodeId, LockToken)>,
    ) -> Result<bool, serde_amqp::Error> {
        while out.len() < room {
            match self.pending.pop_front() {
                None => break,
                Some(Pending::Drained { mut flow, .. }) => {
                    // The session's part is of now.
                    let now = self.windows.flow();
                    flow.next_incoming_id = now.next_incoming_id;
                    flow.incoming_window = now.incoming_window;
                    flow.next_outgoing_id = now.next_outgoing_id;
                    frame::encode(out, self.channel, &flow)?;
                }
                Some(Pending::Delivery(mut waiting)) => {
                    if !self.windows.take_outgoing() {
                        self.pending.push_front(Pending::Delivery(waiting));
                        break;
                    }
                    let before = out.len();
                    let has_more = self.send_frame(&mut waiting, out, max_frame_size);
                    if waiting.is_cut {
                        out.truncate(before + (out.len() - before) / 2);
                        return Ok(false);
                    }
                    if has_more {
                        self.pending.push_front(Pending::Delivery(waiting));
                    } else if let Some(lock) = waiting.lock.filter(|_| waiting.pre_settled) {
                        sent.push(lock);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Sends one frame of a delivery; true while there is more of it.
    fn send_frame(&mut self, waiting: &mut Waiting, out: &mut BytesMut, max: u32) -> bool {
        let (channel, handle) = (self.channel, waiting.handle);
        if waiting.is_begun {
            return transfer::encode(out, channel, handle, None, &mut waiting.payload, max);
        }
        waiting.is_begun = true;
        let Some(outgoing) = self.outgoing(handle, waiting.link) else {
            return false;
        };
        outgoing.unsent = outgoing.unsent.saturating_sub(1);
        outgoing.delivery_count = outgoing.delivery_count.wrapping_add(1);
        let delivery = self.windows.take_delivery();
        if let Some((node, token)) = waiting.lock.filter(|_| !waiting.pre_settled) {
            let unsettled = Unsettled {
                link: waiting.link,
                node,
                token,
            };
            self.unsettled.insert(delivery, unsettled);
        }
        // An answer to a request has a tag that is nobody's lock.
        let token = waiting.lock.map(|(_, token)| token);
        let tag = token.unwrap_or_else(LockToken::random).delivery_tag();
        let start = Start {
            delivery_id: delivery as u32,
            delivery_tag: &tag,
            message_format: 0,
            settled: waiting.pre_settled,
        };
        let payload = &mut waiting.payload;
        transfer::encode(out, channel, handle, Some(&start), payload, max)
    }
}
