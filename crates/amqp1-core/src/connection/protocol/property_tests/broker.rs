//! A broker without I/O, which follows AMQP 1.0 and checks that the client does.
//!
//! It answers whatever it reads, unless told to lose or refuse something; it does everything else
//! only on request. It has one queue, which every receiver receives from.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp_types::definitions::{AmqpError, Error as Condition, Handle, Role};
use fe2o3_amqp_types::performatives::{Attach, Begin, Close, Detach, End, Flow};
use serde::Serialize;

use super::ends::{live, Session, Source, Target, WINDOW};
use super::message::{Fate, Message};
use crate::wire::frame::{self, Frame, State};

/// The largest frame that the client may send.
pub const MAX_FRAME: usize = 512;

/// The highest channel that the broker allows: channels 0 to 5.
pub const CHANNEL_MAX: u16 = 5;

/// The highest handle: a receiver's and three of a sender's.
pub const HANDLE_MAX: u32 = 3;

#[derive(Debug, Default)]
pub struct Broker {
    input: BytesMut,
    pub out: Vec<u8>,
    /// By the client's channel.
    pub sessions: BTreeMap<u16, Session>,
    /// Channels whose begin was lost; the client may end them, and gets no answer.
    lost: Vec<u16>,
    pub ready: VecDeque<Message>,
    /// The outcomes of finished messages, by number.
    pub done: BTreeMap<u32, Fate>,
    /// Complete messages from the client.
    pub received: Vec<Bytes>,
    pub published: u32,
    /// The most lanes of one sender at any time.
    pub most_lanes: usize,
    pub lose_begin: bool,
    pub refuse_attach: bool,
    pub is_closed: bool,
    next_channel: u16,
}

impl Broker {
    pub fn say(&mut self, channel: u16, performative: &impl Serialize) {
        frame::encode_performative(&mut self.out, channel, performative).unwrap();
    }

    /// Handles bytes from the client.
    pub fn read(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
        while let Some((channel, frame)) = frame::decode(&mut self.input, MAX_FRAME as u32)
            .expect("the client's frames are well-formed and not too large")
        {
            assert!(
                !self.is_closed || matches!(frame, Frame::Empty),
                "said after its close"
            );
            self.frame(channel, frame);
        }
    }

    fn frame(&mut self, channel: u16, frame: Frame) {
        assert!(channel <= CHANNEL_MAX, "beyond channel-max");
        match frame {
            Frame::Empty => {}
            Frame::Transfer(transfer, payload) => {
                let received = live(&mut self.sessions, channel).transfer(&transfer, &payload);
                if let Some(payload) = received {
                    self.received.push(payload);
                }
            }
            Frame::Disposition(disposition) => self.disposition(channel, &disposition),
            Frame::Other(body) => match *body {
                FrameBody::Begin(begin) => self.begin(channel, &begin),
                FrameBody::Attach(attach) if !self.lost.contains(&channel) => {
                    self.attach(channel, &attach);
                }
                FrameBody::Flow(flow) if !self.lost.contains(&channel) => {
                    self.flow(channel, &flow);
                }
                FrameBody::Detach(detach) if !self.lost.contains(&channel) => {
                    self.detach(channel, detach.handle.0);
                }
                FrameBody::End(_) => self.end(channel),
                FrameBody::Close(_) => {
                    self.say(0, &Close { error: None });
                    self.is_closed = true;
                }
                FrameBody::Attach(_) | FrameBody::Flow(_) | FrameBody::Detach(_) => {}
                other => panic!("not expected: {other:?}"),
            },
        }
    }

    fn begin(&mut self, channel: u16, begin: &Begin) {
        assert!(
            !self.sessions.contains_key(&channel),
            "a begin on a channel in use"
        );
        assert!(
            !self.lost.contains(&channel),
            "the channel of a lost begin was used again"
        );
        assert_eq!(begin.remote_channel, None);
        // One channel works in the end: those of lost begins are not used again.
        let may_lose = self.lost.len() < usize::from(CHANNEL_MAX);
        if std::mem::take(&mut self.lose_begin) && may_lose {
            self.lost.push(channel);
            return;
        }
        self.next_channel += 1;
        let mine = 100 + self.next_channel;
        self.say(
            mine,
            &Begin {
                remote_channel: Some(channel),
                next_outgoing_id: u32::MAX - 1,
                incoming_window: WINDOW,
                outgoing_window: 1000,
                handle_max: Handle(HANDLE_MAX),
                offered_capabilities: None,
                desired_capabilities: None,
                properties: None,
            },
        );
        let session = Session {
            mine,
            next_incoming: begin.next_outgoing_id,
            incoming_window: WINDOW,
            next_outgoing: u32::MAX - 1,
            remote_window: begin.incoming_window,
            ..Session::default()
        };
        self.sessions.insert(channel, session);
    }

    fn attach(&mut self, channel: u16, attach: &Attach) {
        let refuse = std::mem::take(&mut self.refuse_attach);
        let session = live(&mut self.sessions, channel);
        if session.is_ended {
            return;
        }
        let theirs = attach.handle.0;
        assert!(theirs <= HANDLE_MAX, "beyond handle-max");
        let mine = session.mine;
        let (role, handle) = match attach.role {
            Role::Receiver => (Role::Sender, 70),
            Role::Sender => (Role::Receiver, 71 + theirs),
        };
        let answer = Attach {
            role: role.clone(),
            handle: Handle(handle),
            initial_delivery_count: (role == Role::Sender).then_some(u32::MAX - 2),
            source: attach
                .source
                .clone()
                .filter(|_| !(refuse && role == Role::Sender)),
            target: attach
                .target
                .clone()
                .filter(|_| !(refuse && role == Role::Receiver)),
            ..attach.clone()
        };
        match role {
            Role::Sender => {
                assert!(session.source.is_none(), "a second receiver");
                session.source = Some(Source {
                    handle,
                    delivery_count: u32::MAX - 2,
                    limit: u32::MAX - 2,
                    furthest: u32::MAX - 2,
                    next_delivery: u32::MAX - 3,
                    sends_settled: attach.snd_settle_mode
                        == fe2o3_amqp_types::definitions::SenderSettleMode::Settled,
                    ..Source::default()
                });
            }
            Role::Receiver => {
                let mut targets = session.targets.iter();
                let is_new = targets.all(|target| target.theirs != theirs);
                assert!(is_new && theirs != 1, "a handle in use");
                self.most_lanes = self.most_lanes.max(session.targets.len() + 1);
                session.targets.push(Target {
                    theirs,
                    handle,
                    ..Target::default()
                });
            }
        }
        self.say(mine, &answer);
        if refuse {
            self.end_link(channel, theirs);
        }
    }

    /// Detaches the link of a handle of the client with an error.
    pub fn end_link(&mut self, channel: u16, theirs: u32) {
        self.let_go(
            channel,
            theirs,
            Some(Condition::new(AmqpError::NotFound, None, None)),
        );
    }

    /// Detaches a link, if there is one.
    fn let_go(&mut self, channel: u16, theirs: u32, error: Option<Condition>) {
        let session = live(&mut self.sessions, channel);
        let (mine, handle) = (session.mine, session.handle_of(theirs));
        let Some(handle) = handle.filter(|_| !session.is_ended) else {
            return;
        };
        let detach = Detach {
            handle: Handle(handle),
            closed: true,
            error,
        };
        self.say(mine, &detach);
        self.drop_link(channel, theirs);
    }

    fn drop_link(&mut self, channel: u16, theirs: u32) {
        let session = live(&mut self.sessions, channel);
        if theirs == 1 {
            let gone = session.source.take();
            let unsettled = gone
                .into_iter()
                .flat_map(|source| source.unsettled.into_values());
            self.ready.extend(unsettled.map(Message::lost));
        } else {
            session.targets.retain(|target| target.theirs != theirs);
            session.unsettled.retain(|(_, over)| *over != theirs);
        }
    }

    /// Answers the client's detach, unless our own was already sent.
    fn detach(&mut self, channel: u16, theirs: u32) {
        self.let_go(channel, theirs, None);
    }

    /// Ends a session on the broker's own initiative.
    pub fn end_session(&mut self, channel: u16) {
        let session = live(&mut self.sessions, channel);
        if !session.is_ended {
            session.is_ended = true;
            let mine = session.mine;
            (0..=HANDLE_MAX).for_each(|theirs| self.drop_link(channel, theirs));
            self.say(mine, &End { error: None });
        }
    }

    fn end(&mut self, channel: u16) {
        if self.lost.contains(&channel) {
            return;
        }
        self.end_session(channel);
        self.sessions.remove(&channel);
    }

    fn flow(&mut self, channel: u16, flow: &Flow) {
        let session = live(&mut self.sessions, channel);
        if session.is_ended {
            return;
        }
        session.remote_window = flow
            .next_incoming_id
            .unwrap_or(u32::MAX - 1)
            .wrapping_add(flow.incoming_window)
            .wrapping_sub(session.next_outgoing);
        assert!(
            session.remote_window <= i32::MAX as u32,
            "a window that goes backwards"
        );
        let handle = flow.handle.as_ref().map(|handle| handle.0);
        if let (Some(1), Some(source)) = (handle, &mut session.source) {
            let count = flow.delivery_count.unwrap_or(u32::MAX - 2);
            let ahead = count.wrapping_sub(source.delivery_count) as i32;
            assert!(ahead <= 0, "a delivery-count ahead of ours");
            source.limit = count.wrapping_add(flow.link_credit.unwrap_or(0));
            if (source.limit.wrapping_sub(source.furthest) as i32) > 0 {
                source.furthest = source.limit;
            }
            source.drain = flow.drain;
        }
        let mut targets = session.targets.iter_mut();
        if let Some(target) = targets.find(|target| Some(target.theirs) == handle) {
            // The client has used up its credit, as the drain requires.
            let count = flow.delivery_count.expect("the sender says its own");
            assert!(count >= target.delivery_count, "goes backwards");
            target.delivery_count = count;
            assert!(target.delivery_count <= target.limit, "used up too much");
        }
        if flow.echo {
            self.tell(channel, false);
        }
    }

    /// Handles the client's settlement of deliveries.
    fn disposition(&mut self, channel: u16, disposition: &frame::Disposition) {
        assert!(disposition.from_receiver || disposition.settled);
        let session = live(&mut self.sessions, channel);
        let Some(source) = session
            .source
            .as_mut()
            .filter(|_| disposition.from_receiver)
        else {
            return;
        };
        let (first, last) = (disposition.first, disposition.last);
        let count = last.wrapping_sub(first);
        assert!(count < 1000, "a range of {count}");
        for id in (0..=count).map(|at| first.wrapping_add(at)) {
            let Some(message) = source.unsettled.remove(&id) else {
                // Deliveries that were taken back are settled in as few ranges as possible.
                let is_bridge = count > 0 && disposition.state == Some(State::Released);
                assert!(
                    is_bridge && source.sent.contains_key(&id),
                    "{id} is settled a second time"
                );
                continue;
            };
            let was_recalled = source.recalled.contains(&id);
            source.recalled.retain(|recalled| *recalled != id);
            match &disposition.state {
                // It already belongs to another consumer.
                _ if was_recalled => self.ready.push_back(message.lost()),
                Some(State::Accepted) => {
                    let twice = self.done.insert(message.number, Fate::Accepted);
                    assert_eq!(twice, None, "accepted twice");
                }
                Some(State::Rejected(_)) => drop(self.done.insert(message.number, Fate::Rejected)),
                Some(State::Modified) => self.ready.push_back(message.returned()),
                _ => self.ready.push_back(message.lost()),
            }
        }
    }
}
