//! The model broker's actions on request.

use fe2o3_amqp_types::definitions::{Handle, Role};
use fe2o3_amqp_types::messaging::{DeliveryState, Released};
use fe2o3_amqp_types::performatives::Disposition;

use super::broker::Broker;
use super::ends::{live, WINDOW};
use super::message::{Fate, Message};
use crate::wire::frame;

impl Broker {
    /// Puts `count` messages into the queue, which came back `deaths` times without an outcome.
    pub fn publish(&mut self, count: u32, deaths: u32, size: usize) {
        for _ in 0..count {
            self.ready
                .push_back(Message::new(self.published, deaths, size));
            self.published += 1;
        }
    }

    /// Sends a flow with the state of the session's source.
    pub fn tell(&mut self, channel: u16, echo: bool) {
        let session = live(&mut self.sessions, channel);
        if session.is_ended {
            return;
        }
        let mut flow = session.flow();
        if let Some(source) = &session.source {
            flow.handle = Some(Handle(source.handle));
            flow.delivery_count = Some(source.delivery_count);
            flow.link_credit = Some(source.credit());
            flow.available = Some(0);
        }
        flow.echo = echo;
        let mine = session.mine;
        self.say(mine, &flow);
    }

    /// Answers a drain once all available messages are sent.
    pub fn answer_drain(&mut self, channel: u16) {
        let is_empty = self.ready.is_empty();
        let session = live(&mut self.sessions, channel);
        let mine = session.mine;
        let mut flow = session.flow();
        let Some(source) = session.source.as_mut().filter(|source| source.drain) else {
            return;
        };
        if session.is_ended || source.partial.is_some() || !(is_empty || source.credit() == 0) {
            return;
        }
        source.delivery_count = source.delivery_count.wrapping_add(source.credit());
        source.drain = false;
        flow.handle = Some(Handle(source.handle));
        flow.delivery_count = Some(source.delivery_count);
        flow.link_credit = Some(0);
        flow.drain = true;
        self.say(mine, &flow);
    }

    /// Grants credit to a lane of the client's sender, and a window to its session.
    pub fn grant(&mut self, channel: u16, lane: usize, credit: u32, drain: bool) {
        let session = live(&mut self.sessions, channel);
        if session.is_ended {
            return;
        }
        session.incoming_window = WINDOW;
        let mut flow = session.flow();
        let lanes = session.targets.len().max(1);
        if let Some(target) = session.targets.get_mut(lane % lanes) {
            target.limit = target.limit.max(target.delivery_count + credit);
            flow.handle = Some(Handle(target.handle));
            flow.delivery_count = Some(target.delivery_count);
            flow.link_credit = Some(credit);
            flow.drain = drain;
        }
        let mine = session.mine;
        self.say(mine, &flow);
    }

    /// Confirms up to `count` of the client's messages, from the first or from the last.
    pub fn confirm(&mut self, channel: u16, count: usize, first: bool, state: &[u8]) {
        let session = live(&mut self.sessions, channel);
        let mine = session.mine;
        if session.is_ended {
            return;
        }
        let unsettled = &mut session.unsettled;
        for _ in 0..count.min(unsettled.len()) {
            let at = if first { 0 } else { unsettled.len() - 1 };
            let (id, _) = unsettled.remove(at);
            frame::encode_disposition(&mut self.out, mine, id, id, true, state);
        }
    }

    /// Takes back a range of deliveries that the client has not settled.
    pub fn recall(&mut self, channel: u16, from: usize, count: usize) {
        let session = live(&mut self.sessions, channel);
        let mine = session.mine;
        let Some(source) = session.source.as_mut().filter(|_| !session.is_ended) else {
            return;
        };
        let recalled = &source.recalled;
        let held: Vec<u32> = source
            .unsettled
            .keys()
            .copied()
            .filter(|id| !recalled.contains(id))
            .skip(from)
            .take(count)
            .collect();
        for id in held {
            source.recalled.push(id);
            let disposition = Disposition {
                role: Role::Sender,
                first: id,
                last: None,
                settled: false,
                state: Some(DeliveryState::Released(Released {})),
                batchable: false,
            };
            frame::encode_performative(&mut self.out, mine, &disposition).unwrap();
        }
    }

    /// Sends one frame of a delivery, if the client allows it. Like RabbitMQ, sends nothing to a
    /// consumer that still has to settle deliveries that were taken back.
    pub fn deliver(&mut self, channel: u16, sizes: usize) -> bool {
        let Some(session) = self.sessions.get_mut(&channel).filter(|s| !s.is_ended) else {
            return false;
        };
        if session.remote_window == 0 {
            return false;
        }
        let mine = session.mine;
        let Some(source) = &mut session.source else {
            return false;
        };
        let (first, id, rest) = match source.partial.take() {
            Some((id, rest)) => (None, id, rest),
            None => {
                if source.credit() == 0 || !source.recalled.is_empty() {
                    return false;
                }
                let Some(message) = self.ready.pop_front() else {
                    return false;
                };
                let (id, payload) = (source.next_delivery, message.payload());
                source.next_delivery = id.wrapping_add(1);
                source.delivery_count = source.delivery_count.wrapping_add(1);
                source.sent.insert(id, payload.clone());
                match source.sends_settled {
                    true => drop(self.done.insert(message.number, Fate::Sent)),
                    false => drop(source.unsettled.insert(id, message)),
                }
                let settled = source.sends_settled;
                let first = frame::First {
                    delivery_id: id,
                    settled,
                    format: 0,
                };
                (Some(first), id, payload)
            }
        };
        session.remote_window -= 1;
        session.next_outgoing = session.next_outgoing.wrapping_add(1);
        let size = rest.len().min(sizes.max(1));
        let more = size < rest.len();
        let handle = source.handle;
        frame::encode_transfer(&mut self.out, mine, handle, first, more, &rest[..size]);
        if more {
            source.partial = Some((id, rest.slice(size..)));
        }
        true
    }

    /// Sends a heartbeat.
    pub fn heartbeat(&mut self) {
        if self.out.is_empty() {
            frame::encode_empty(&mut self.out);
        }
    }

    /// Whether a delivery is begun and incomplete.
    pub fn is_sending(&self, channel: u16) -> bool {
        let session = self.sessions.get(&channel);
        let source = session.and_then(|session| session.source.as_ref());
        source.is_some_and(|source| source.partial.is_some())
    }

    /// The number of messages without a final outcome.
    pub fn left(&self) -> usize {
        let sources = self
            .sessions
            .values()
            .filter_map(|session| session.source.as_ref());
        let unsettled: usize = sources.map(|source| source.unsettled.len()).sum();
        self.ready.len() + unsettled
    }
}
