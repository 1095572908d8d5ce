//! Deliveries that go out: sent as windows allow, settled as their receivers say.

use bytes::BytesMut;
use fe2o3_amqp_types::definitions::{Handle, Role};
use fe2o3_amqp_types::performatives::{Disposition, Flow};

use super::link::{Kind, Outgoing, Source};
use super::session::{Context, Fault, Session};
use crate::model::consumers::LinkId;
use crate::model::message::{DeliveryHeader, Message};
use crate::model::outcome::Outcome;
use crate::model::queue::Sequence;
use crate::model::store::Delivery;
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

impl Pending {
    pub(super) fn link(&self) -> LinkId {
        match self {
            Self::Delivery(waiting) => waiting.link,
            Self::Drained { link, .. } => *link,
        }
    }
}

/// A delivery that waits, or is being sent.
#[derive(Debug)]
pub(super) struct Waiting {
    link: LinkId,
    handle: u32,
    /// `None` for an answer of the management node.
    sequence: Option<Sequence>,
    format: u32,
    pre_settled: bool,
    payload: Payload,
    is_begun: bool,
}

/// A delivery that was sent and that its receiver has not settled.
#[derive(Debug)]
pub(super) struct Unsettled {
    pub(super) link: LinkId,
    handle: u32,
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
        outgoing.unsent += 1;
        self.pending.push_back(Pending::Delivery(Box::new(Waiting {
            link: delivery.link,
            handle,
            sequence: Some(delivery.sequence),
            format: delivery.message.format,
            pre_settled: delivery.pre_settled,
            payload: delivery.message.payload(delivery.header),
            is_begun: false,
        })));
    }

    /// Takes an answer of the management node, which waits for credit on its link.
    pub(super) fn enqueue_reply(&mut self, handle: u32, reply: Message) {
        if let Some(link) = self.links.get_mut(&handle) {
            if let Kind::Outgoing(outgoing) = &mut link.kind {
                if let Source::Management(replies) = &mut outgoing.source {
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
            let Source::Management(replies) = &mut outgoing.source else {
                return;
            };
            let Some(reply) = replies.pop_front() else {
                return;
            };
            outgoing.unsent += 1;
            let header = DeliveryHeader {
                ttl: None,
                first_acquirer: true,
                delivery_count: 0,
            };
            self.pending.push_back(Pending::Delivery(Box::new(Waiting {
                link: link.id,
                handle,
                sequence: None,
                format: 0,
                pre_settled: true,
                payload: reply.payload(header),
                is_begun: false,
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
        let Kind::Outgoing(outgoing) = &mut link.kind else {
            return Ok(());
        };
        if let Some(credit) = flow.link_credit {
            // Without delivery-count the receiver has not seen the attach: it counts from 0.
            outgoing.limit = flow.delivery_count.unwrap_or(0).wrapping_add(credit);
        }
        let spare = outgoing.spare();
        let is_management = matches!(outgoing.source, Source::Management(_));
        if flow.drain {
            context.draining.insert(id);
        } else {
            context.draining.remove(&id);
        }
        if is_management {
            self.send_replies(handle);
        } else {
            if spare < 0 {
                self.take_back(handle, id, spare.unsigned_abs(), context);
            }
            context.store.set_credit(id, spare.max(0) as u32);
        }
        if flow.echo && !flow.drain {
            let available = context.store.available(id);
            let answer = self.link_flow(handle, available, false);
            context.put(self.channel, &answer)?;
        }
        Ok(())
    }

    /// Returns the last `n` deliveries of a link that were not begun to their queue.
    fn take_back(&mut self, handle: u32, link: LinkId, n: u32, context: &mut Context<'_>) {
        let mut left = n;
        let mut kept = std::collections::VecDeque::with_capacity(self.pending.len());
        while let Some(pending) = self.pending.pop_back() {
            match pending {
                Pending::Delivery(waiting)
                    if left > 0 && waiting.link == link && !waiting.is_begun =>
                {
                    left -= 1;
                    if let Some(sequence) = waiting.sequence {
                        context.store.unassign(link, sequence);
                    }
                }
                other => kept.push_front(other),
            }
        }
        self.pending = kept;
        if let Some(outgoing) = self.outgoing(handle, link) {
            outgoing.unsent = outgoing.unsent.saturating_sub(n - left);
        }
    }

    /// The store has given a draining link what there is, and `left` credit is left over.
    pub(super) fn drained(&mut self, handle: u32, link: LinkId, left: u32) {
        let Some(outgoing) = self.outgoing(handle, link) else {
            return;
        };
        let left = match outgoing.source {
            Source::Queue => left,
            Source::Management(_) => outgoing.spare().max(0) as u32,
        };
        outgoing.delivery_count = outgoing.delivery_count.wrapping_add(left);
        let final_count = outgoing.delivery_count.wrapping_add(outgoing.unsent);
        let mut flow = self.flow();
        flow.handle = Some(Handle(handle));
        flow.delivery_count = Some(final_count);
        flow.link_credit = Some(0);
        flow.available = Some(0);
        flow.drain = true;
        self.pending.push_back(Pending::Drained { link, flow });
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
        while out.len() < room {
            match self.pending.pop_front() {
                None => break,
                Some(Pending::Drained { mut flow, .. }) => {
                    // The session's part is of now.
                    let now = self.flow();
                    flow.next_incoming_id = now.next_incoming_id;
                    flow.incoming_window = now.incoming_window;
                    flow.next_outgoing_id = now.next_outgoing_id;
                    frame::encode(out, self.channel, &flow)?;
                }
                Some(Pending::Delivery(mut waiting)) => {
                    if !self.take_outgoing() {
                        self.pending.push_front(Pending::Delivery(waiting));
                        break;
                    }
                    if self.send_frame(&mut waiting, out, max_frame_size) {
                        self.pending.push_front(Pending::Delivery(waiting));
                    } else if let Some(sequence) = waiting.sequence {
                        sent.push((waiting.link, sequence));
                    }
                }
            }
        }
        Ok(())
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
        let tag = outgoing.take_tag();
        let delivery = self.take_delivery();
        if let Some(sequence) = waiting.sequence.filter(|_| !waiting.pre_settled) {
            let unsettled = Unsettled {
                link: waiting.link,
                handle,
                sequence,
            };
            self.unsettled.insert(delivery, unsettled);
        }
        let start = Start {
            delivery_id: delivery as u32,
            delivery_tag: &tag,
            message_format: waiting.format,
            settled: waiting.pre_settled,
        };
        transfer::encode(
            out,
            channel,
            handle,
            Some(&start),
            &mut waiting.payload,
            max,
        )
    }

    /// Takes a receiver's disposition. One that is not settled is answered with a settled one.
    pub(super) fn on_disposition(
        &mut self,
        disposition: Disposition,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        if disposition.role == Role::Sender {
            // The sender settles what the broker has settled already.
            return Ok(());
        }
        let Some(first) = self.delivery(disposition.first) else {
            return Ok(());
        };
        let last = match disposition.last {
            None => first,
            Some(last) => self.delivery(last).unwrap_or_else(|| self.last_delivery()),
        };
        if last < first {
            return Ok(());
        }
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
        // Never by counting from first to last: a peer may name two billion deliveries.
        let ids: Vec<u64> = match first == last {
            true => vec![first],
            false => self
                .unsettled
                .range(first..=last)
                .map(|(id, _)| *id)
                .collect(),
        };
        let mut is_any = false;
        for id in ids {
            let Some(unsettled) = self.unsettled.remove(&id) else {
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
        let answer = Disposition {
            role: Role::Sender,
            first: first as u32,
            last: (last != first).then_some(last as u32),
            settled: true,
            state: disposition.state,
            batchable: false,
        };
        context.put(self.channel, &answer)
    }
}
