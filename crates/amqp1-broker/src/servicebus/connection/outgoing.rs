//! Deliveries that go out, as windows and credit allow.

use bytes::{Bytes, BytesMut};
use fe2o3_amqp_types::performatives::Flow;

use super::link::{Kind, Outgoing, Source};
use super::session::{Context, Fault, Session};
use super::settling::Unsettled;
use crate::amqp::ids::LinkId;
use crate::amqp::outbox::Waiting;
use crate::servicebus::faults::{Action, Point};
use crate::servicebus::model::namespace::{Namespace, NodeId};
use crate::servicebus::model::queue::Assignment;
use crate::servicebus::model::token::LockToken;
use crate::wire::transfer::Payload;

/// Whose a delivery is that waits to be sent; by default nobody's: an answer to a request.
#[derive(Debug, Default)]
pub(super) struct Given {
    lock: Option<(NodeId, LockToken)>,
    /// The stream ends in the middle of it.
    is_cut: bool,
}

impl Given {
    /// Returns a delivery that will not be sent.
    pub(super) fn give_back(self, namespace: &mut Namespace) {
        if let Some((node, token)) = self.lock {
            namespace.unassign(node, token);
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
        outgoing.credit.enqueue();
        self.outbox.push(Waiting {
            link: given.link,
            handle,
            of: Given {
                lock: Some((node, given.token)),
                is_cut,
            },
            format: 0,
            pre_settled: given.pre_settled,
            payload: given.message.payload(&given.stamp),
            is_begun: false,
        });
    }

    /// Takes an answer to a request, which waits for credit on its link.
    pub(super) fn enqueue_reply(&mut self, handle: u32, reply: Vec<u8>) {
        let (none, reply) = (Bytes::new(), Bytes::from(reply));
        let payload = Payload::new(reply, none.clone(), none);
        self.send_replies(handle, Some(payload));
    }

    /// Lets answers, a new one behind those that wait, go as far as there is credit.
    fn send_replies(&mut self, handle: u32, new: Option<Payload>) {
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
        outgoing.credit.update(flow);
        let spare = outgoing.credit.spare();
        let is_queue = matches!(outgoing.source, Source::Queue(_));
        context.routes.set_draining(id, flow.drain);
        if is_queue {
            if spare < 0 {
                self.take_back(handle, id, spare.unsigned_abs(), context);
            }
            let namespace = &mut context.state.namespace;
            namespace.set_credit(id, spare.max(0) as u32);
        } else {
            self.send_replies(handle, None);
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
        let taken = self.outbox.take_back(link, n);
        if let Some(outgoing) = self.outgoing(handle, link) {
            outgoing.credit.take_back(taken.len());
        }
        for given in taken {
            given.give_back(&mut context.state.namespace);
        }
    }

    /// A draining link has been given what there is, and this much credit is left over; `None`: as
    /// much as it has.
    pub(super) fn drained(&mut self, handle: u32, link: LinkId, left: Option<u32>) {
        let Some(outgoing) = self.outgoing(handle, link) else {
            return;
        };
        let left = left.unwrap_or_else(|| outgoing.credit.spare().max(0) as u32);
        let count = outgoing.credit.drain(left);
        self.outbox.push_drained(link, handle, count, &self.windows);
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
        let channel = self.channel;
        while let Some(mut waiting) = self.outbox.next(out, room, channel, &mut self.windows)? {
            let before = out.len();
            let has_more = self.send_frame(&mut waiting, out, max_frame_size);
            if waiting.of.is_cut {
                out.truncate(before + (out.len() - before) / 2);
                return Ok(false);
            }
            if has_more {
                self.outbox.put_back(waiting);
            } else if let Some(lock) = waiting.of.lock.filter(|_| waiting.pre_settled) {
                sent.push(lock);
            }
        }
        Ok(true)
    }

    /// Sends one frame of a delivery; true while there is more of it.
    fn send_frame(&mut self, waiting: &mut Waiting<Given>, out: &mut BytesMut, max: u32) -> bool {
        if waiting.is_begun {
            return waiting.send_next(out, self.channel, max);
        }
        let link = waiting.link;
        let Some(outgoing) = self.outgoing(waiting.handle, link) else {
            return false;
        };
        outgoing.credit.begin();
        let lock = waiting.of.lock;
        let unsettled = lock.filter(|_| !waiting.pre_settled);
        let delivery = self
            .deliveries
            .begin(unsettled.map(|(node, token)| Unsettled { link, node, token }));
        // An answer to a request has a tag that is nobody's lock.
        let token = lock.map(|(_, token)| token);
        let tag = token.unwrap_or_else(LockToken::random).delivery_tag();
        waiting.send_first(out, self.channel, (delivery, &tag), max)
    }
}
