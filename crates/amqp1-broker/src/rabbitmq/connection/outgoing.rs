//! Outgoing deliveries: sent as windows allow, settled as their receivers decide.

use bytes::BytesMut;
use fe2o3_amqp_types::definitions::Role;
use fe2o3_amqp_types::messaging::{DeliveryState, Released};
use fe2o3_amqp_types::performatives::Disposition;

use super::trunk::{Context, Fault, Session};
use crate::amqp::answers;
use crate::amqp::ids::LinkId;
use crate::amqp::outbox::Waiting;
use crate::amqp::session::Unsettled;
use crate::rabbitmq::model::message::{DeliveryHeader, Message};
use crate::rabbitmq::model::outcome::Outcome;
use crate::rabbitmq::model::queue::Sequence;
use crate::rabbitmq::model::store::Delivery;

impl Session {
    /// Queues a delivery from the store.
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

    /// Queues an answer of the management node, which waits for credit on its link.
    pub(super) fn enqueue_reply(&mut self, handle: u32, reply: Message) {
        let header = DeliveryHeader {
            ttl: None,
            first_acquirer: true,
            delivery_count: 0,
            acquired_count: 0,
        };
        self.send_replies(handle, Some(reply.payload(header)));
    }

    /// Sends waiting deliveries as far as the peer's window and the write buffer allow. Adds those
    /// sent completely to `sent`.
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

    /// Handles a delivery that the queue took back because its receiver held it for too long.
    pub(super) fn recall(
        &mut self,
        link: LinkId,
        sequence: Sequence,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let held = |u: &Unsettled<Sequence>| u.link == link && u.of == sequence;
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

    /// Handles a receiver's disposition. One that does not settle is answered with one that does.
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
                // `received` reports the receiver's progress and settles nothing.
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
                    Some(outgoing) => outgoing.of.default_outcome.clone(),
                    None => continue,
                },
            };
            context
                .model
                .settle(unsettled.link, unsettled.of, outcome, context.now);
        }
        if disposition.settled || !is_any {
            return Ok(());
        }
        let (first, last) = (first as u32, last as u32);
        let answer = answers::settled(Role::Sender, first, last, disposition.state);
        context.put(self.channel, &answer)
    }
}
