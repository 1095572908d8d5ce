//! Deliveries that go out: sent as windows allow, settled as their receivers say.

use bytes::BytesMut;
use fe2o3_amqp_types::definitions::Role;
use fe2o3_amqp_types::messaging::{DeliveryState, Released};
use fe2o3_amqp_types::performatives::{Disposition, Flow};

use super::link::{Kind, Outgoing, Source};
use super::session::{Context, Fault, Session};
use crate::amqp::answers;
use crate::amqp::ids::LinkId;
use crate::amqp::outbox::Waiting;
use crate::rabbitmq::model::message::{DeliveryHeader, Message};
use crate::rabbitmq::model::outcome::Outcome;
use crate::rabbitmq::model::queue::Sequence;
use crate::rabbitmq::model::store::Delivery;
use crate::wire::transfer::Payload;

/// A delivery that was sent and that its receiver has not settled.
#[derive(Debug)]
pub(super) struct Unsettled {
    pub(super) link: LinkId,
    pub(super) handle: u32,
    sequence: Sequence,
}

impl Session {
    fn outgoing(&mut self, handle: u32, link: LinkId) -> Option<&mut Outgoing> {
        match self.links.get_mut(&handle).filter(|l| l.id == link) {
            Some(link) => match &mut link.kind {
                Kind::Outgoing(outgoing) => Some(outgoing),
                _ => None,
            },
            None => None,
        }
    }

    /// Takes a delivery from the store.
    pub(super) fn enqueue(&mut self, handle: u32, delivery: Delivery) {
        let Some(outgoing) = self.outgoing(handle, delivery.link) else {
            return;
        };
        outgoing.credit.enqueue();
        self.outbox.push(Waiting {
            link: delivery.link,
            handle,
            of: Some(delivery.sequence),
            format: delivery.message.format,
            pre_settled: delivery.pre_settled,
            payload: delivery.message.payload(delivery.header),
            is_begun: false,
        });
    }

    /// Takes an answer of the management node, which waits for credit on its link.
    pub(super) fn enqueue_reply(&mut self, handle: u32, reply: Message) {
        let header = DeliveryHeader {
            ttl: None,
            first_acquirer: true,
            delivery_count: 0,
            acquired_count: 0,
        };
        self.send_replies(handle, Some(reply.payload(header)));
    }

    /// Lets answers, a new one behind those that wait, go as far as there is credit.
    fn send_replies(&mut self, handle: u32, new: Option<Payload>) {
        let Some(link) = self.links.get_mut(&handle) else {
            return;
        };
        if let Kind::Outgoing(outgoing) = &mut link.kind {
            if let Source::Management(replies) = &mut outgoing.source {
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
        let Kind::Outgoing(outgoing) = &mut link.kind else {
            return Ok(());
        };
        outgoing.credit.update(flow);
        let spare = outgoing.credit.spare();
        let is_management = matches!(outgoing.source, Source::Management(_));
        context.routes.set_draining(id, flow.drain);
        if is_management {
            self.send_replies(handle, None);
        } else {
            if spare < 0 {
                self.take_back(handle, id, spare.unsigned_abs(), context);
            }
            context.store.set_credit(id, spare.max(0) as u32);
        }
        if flow.echo && !flow.drain {
            let available = context.store.available(id);
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
        for sequence in taken.into_iter().flatten() {
            context.store.unassign(link, sequence);
        }
    }

    /// The store has given a draining link what there is, and `left` credit is left over.
    pub(super) fn drained(&mut self, handle: u32, link: LinkId, left: u32) {
        let Some(outgoing) = self.outgoing(handle, link) else {
            return;
        };
        let left = match outgoing.source {
            Source::Queue => left,
            Source::Management(_) => outgoing.credit.spare().max(0) as u32,
        };
        let count = outgoing.credit.drain(left);
        self.outbox.push_drained(link, handle, count, &self.windows);
    }

    /// Sends what waits, as far as the peer's window and the write buffer's room go. What was sent
    /// whole is added to `sent`.
    pub(super) fn pump(
        &mut self,
        out: &mut BytesMut,
        room: usize,
        max_frame_size: u32,
        sent: &mut Vec<(LinkId, Sequence)>,
    ) -> Result<(), serde_amqp::Error> {
        let channel = self.channel;
        while let Some(mut waiting) = self.outbox.next(out, room, channel, &mut self.windows)? {
            if self.send_frame(&mut waiting, out, max_frame_size) {
                self.outbox.put_back(waiting);
            } else if let Some(sequence) = waiting.of {
                sent.push((waiting.link, sequence));
            }
        }
        Ok(())
    }

    /// Sends one frame of a delivery; true while there is more of it.
    fn send_frame(
        &mut self,
        waiting: &mut Waiting<Option<Sequence>>,
        out: &mut BytesMut,
        max: u32,
    ) -> bool {
        if waiting.is_begun {
            return waiting.send_next(out, self.channel, max);
        }
        let (link, handle) = (waiting.link, waiting.handle);
        let Some(outgoing) = self.outgoing(handle, link) else {
            return false;
        };
        outgoing.credit.begin();
        let tag = outgoing.take_tag();
        let unsettled = waiting.of.filter(|_| !waiting.pre_settled);
        let delivery = self.deliveries.begin(unsettled.map(|sequence| Unsettled {
            link,
            handle,
            sequence,
        }));
        waiting.send_first(out, self.channel, (delivery, &tag), max)
    }

    /// The queue has taken back a delivery that its receiver held for too long.
    pub(super) fn recall(
        &mut self,
        link: LinkId,
        sequence: Sequence,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let held = |u: &Unsettled| u.link == link && u.sequence == sequence;
        let Some(delivery) = self.deliveries.find(held) else {
            return Ok(());
        };
        let delivery = delivery as u32;
        let released = Some(DeliveryState::Released(Released {}));
        let disposition = Disposition {
            settled: false,
            ..answers::settled(Role::Sender, delivery, delivery, released)
        };
        context.put(self.channel, &disposition)
    }

    /// Takes a receiver's disposition. One that is not settled is answered with a settled one.
    pub(super) fn on_disposition(
        &mut self,
        disposition: Disposition,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let Some((first, last)) = self.deliveries.meant(&disposition) else {
            return Ok(());
        };
        let outcome = match &disposition.state {
            None if !disposition.settled => return Ok(()),
            None => None,
            Some(state) => match Outcome::from_state(state.clone()) {
                Some(outcome) => Some(outcome),
                // `received` says how far the receiver is; nothing is settled by it.
                None if !disposition.settled => return Ok(()),
                None => None,
            },
        };
        let mut is_any = false;
        for delivery in self.deliveries.between(first, last) {
            let Some(unsettled) = self.deliveries.settle(delivery) else {
                continue;
            };
            is_any = true;
            let outcome = match &outcome {
                Some(outcome) => outcome.clone(),
                None => match self.outgoing(unsettled.handle, unsettled.link) {
                    Some(outgoing) => outgoing.default_outcome.clone(),
                    None => continue,
                },
            };
            context
                .store
                .settle(unsettled.link, unsettled.sequence, outcome, context.now);
        }
        if disposition.settled || !is_any {
            return Ok(());
        }
        let (first, last) = (first as u32, last as u32);
        let answer = answers::settled(Role::Sender, first, last, disposition.state);
        context.put(self.channel, &answer)
    }
}
