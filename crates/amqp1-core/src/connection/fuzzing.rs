//! A connection without a socket, between a client's calls and a hostile broker's frames. The
//! fuzzer chooses both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use fe2o3_amqp_types::definitions::{Handle, Role};
use fe2o3_amqp_types::messaging::{Source, Target, TargetArchetype};
use fe2o3_amqp_types::performatives::{Attach, Begin, Close, Detach, End, Flow, Open};
use tokio::io::{AsyncRead, AsyncWrite};

use super::handle::Connection;
use super::io::handshake;
use super::io::order::Host;
use super::io::shared::Shared;
use super::protocol::Protocol;
use super::{
    Ask, Node, ReceiverLink, ReceiverOptions, Remote, RequestLinks, SenderLink, SenderOptions,
    Tracked, Tracker,
};
use crate::base::choices::Choices;
use crate::base::wait::Signal;
use crate::error::{Error, Result};
use crate::settings::endpoint::Endpoint;
use crate::wire::frame;
use crate::wire::write;

/// The most links: real clients do not open more without limit either.
const MAX_LINKS: usize = 12;

pub(crate) async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    endpoint: &Endpoint,
) -> Result<Remote> {
    let label = endpoint.label();
    let opened = handshake::open(stream, endpoint, label, "h", "fuzz".to_owned()).await;
    opened.map(|(remote, _)| remote)
}

struct World {
    connection: Connection,
    senders: Vec<SenderLink>,
    receivers: Vec<(ReceiverLink, Vec<u32>)>,
    pairs: Vec<RequestLinks>,
    tracker: Tracker,
    sent: u64,
    resolved: usize,
}

/// The client's connection, its links, and a broker's frames.
pub fn connection(data: &[u8]) {
    let mut choices = Choices(data);
    let label = "amqp://fuzz";
    let remote = Remote {
        max_frame_size: 512,
        channel_max: 7,
        ..Remote::default()
    };
    let protocol = Protocol::new(label, &remote, Duration::from_secs(60), Instant::now());
    let shared = Arc::new(Shared::new(
        protocol,
        None,
        BytesMut::new(),
        label.to_owned(),
    ));
    let mut world = World {
        connection: Connection::over(shared, remote, Host::default()),
        senders: Vec::new(),
        receivers: Vec::new(),
        pairs: Vec::new(),
        tracker: Tracker::default(),
        sent: 0,
        resolved: 0,
    };
    let mut over = false;
    while !choices.is_over() && !over {
        match choices.byte() % 4 {
            0 => world.client(&mut choices),
            _ => over = world.broker(&mut choices),
        }
        world.check();
    }
    world
        .connection
        .lock()
        .handle_lost(&Error::connection("over"));
    world.check();
    assert_eq!(
        world.resolved as u64, world.sent,
        "a message without an outcome"
    );
    for link in &world.senders {
        assert!(link.failed().is_some());
    }
    for (link, _) in &world.receivers {
        assert!(
            link.take().is_err(),
            "a delivery of a connection that is over"
        );
    }
}

impl World {
    /// One action of the client. Its errors belong to the caller.
    fn client(&mut self, choices: &mut Choices<'_>) {
        let links = self.senders.len() + self.receivers.len() + self.pairs.len();
        let which = usize::from(choices.byte());
        let action = choices.byte() % 14;
        match action {
            0 | 1 if links >= MAX_LINKS => {}
            0 => {
                let options = SenderOptions {
                    ask: Ask::Queue,
                    further_lanes: 2,
                };
                if let Ok(link) = SenderLink::open(&self.connection, Some("a"), options) {
                    self.senders.push(link);
                }
            }
            1 => {
                let options = ReceiverOptions {
                    prefetch: choices.number().clamp(1, 65_535),
                    in_windows: choices.byte().is_multiple_of(2),
                    ..ReceiverOptions::default()
                };
                let link = ReceiverLink::open(&self.connection, "a", &options, Signal::new());
                if let Ok(link) = link {
                    self.receivers.push((link, Vec::new()));
                }
            }
            2 if links < MAX_LINKS => {
                if let Ok(pair) =
                    RequestLinks::open(&self.connection, &Node::Paired("m"), Signal::new())
                {
                    self.pairs.push(pair);
                }
            }
            3 | 4 if !self.senders.is_empty() => {
                let link = &self.senders[which % self.senders.len()];
                let tracked = Tracked {
                    tracker: self.tracker.clone(),
                    index: self.sent,
                };
                let payload = Bytes::from(vec![7; choices.number().min(2000) as usize]);
                if link.send(payload, tracked, action == 3).is_ok() {
                    self.sent += 1;
                }
            }
            5 if !self.senders.is_empty() => self.senders[which % self.senders.len()].close(),
            6 if !self.pairs.is_empty() => {
                let pair = &self.pairs[which % self.pairs.len()];
                let _ = pair.send(Bytes::from_static(b"request"));
                let _ = pair.take();
            }
            7 => {
                // The socket accepts all of it, or a part.
                let mut protocol = self.connection.lock();
                let count = choices.number() as usize % (protocol.poll_output().pending() + 1);
                protocol.handle_written(count, Instant::now());
            }
            8 => {
                let _ = self.connection.lock().flush_all(Instant::now());
            }
            9 if choices.byte() > 250 => self.connection.begin_close(),
            10.. if !self.receivers.is_empty() => {
                let at = which % self.receivers.len();
                let (link, held) = &mut self.receivers[at];
                match action {
                    10 => {
                        if let Ok(Some(incoming)) = link.take() {
                            held.push(incoming.delivery_id);
                        }
                    }
                    11 => {
                        if let Some(id) = held.pop() {
                            let _ = link.accept(id);
                        }
                    }
                    12 => {
                        if let Some(id) = held.pop() {
                            let _ = link.settle(id, &[0x00, 0x53, 0x26, 0x45]);
                        }
                    }
                    _ => match choices.byte() % 4 {
                        0 => link.close(),
                        other => drop(link.set_prefetch(u32::from(other - 1) * 5)),
                    },
                }
            }
            _ => {}
        }
    }

    /// One action of the broker; true if it ends the connection.
    fn broker(&mut self, choices: &mut Choices<'_>) -> bool {
        let mut out = Vec::new();
        let channel = (choices.number() % 16) as u16;
        match choices.byte() % 10 {
            0 => out.extend_from_slice(choices.bytes(64)),
            1 => {
                let length = usize::from(choices.byte());
                let body = choices.bytes(length);
                frame::encode(&mut out, channel, |out| out.extend_from_slice(body));
            }
            kind => self.performative(kind, channel, choices, &mut out),
        }
        let mut input = BytesMut::from(&out[..]);
        let mut protocol = self.connection.lock();
        protocol
            .handle_input(&mut input, Instant::now())
            .unwrap_or(true)
    }

    fn performative(&self, kind: u8, channel: u16, choices: &mut Choices<'_>, out: &mut Vec<u8>) {
        let handle = Handle(choices.number() % 4);
        let written = match kind {
            2 => {
                let begin = Begin {
                    remote_channel: Some((choices.number() % 10) as u16),
                    next_outgoing_id: choices.number(),
                    incoming_window: choices.number(),
                    outgoing_window: choices.number(),
                    handle_max: handle,
                    offered_capabilities: None,
                    desired_capabilities: None,
                    properties: None,
                };
                frame::encode_performative(out, channel, &begin)
            }
            3 => frame::encode_performative(out, channel, &self.attach(handle, choices)),
            4 => {
                let flow = Flow {
                    next_incoming_id: (choices.byte() > 50).then(|| choices.number()),
                    incoming_window: choices.number(),
                    next_outgoing_id: choices.number(),
                    outgoing_window: choices.number(),
                    handle: (choices.byte() > 50).then_some(handle),
                    delivery_count: (choices.byte() > 50).then(|| choices.number()),
                    link_credit: (choices.byte() > 50).then(|| choices.number()),
                    available: None,
                    drain: choices.byte() > 200,
                    echo: choices.byte() > 200,
                    properties: None,
                };
                frame::encode_performative(out, channel, &flow)
            }
            5 | 6 => {
                let delivery = (choices.byte() > 30).then(|| frame::First {
                    delivery_id: choices.number(),
                    settled: choices.byte() > 200,
                    format: 0,
                });
                let more = choices.byte() > 200;
                let length = usize::from(choices.byte());
                let payload = choices.bytes(length);
                frame::encode_transfer(out, channel, handle.0, delivery, more, payload);
                Ok(())
            }
            7 => {
                let (first, last) = (choices.number(), choices.number());
                let settled = choices.byte() > 60;
                let role = choices.byte() > 20;
                let state = [0x24, 0x25, 0x26, 0x27, 0x23][usize::from(choices.byte() % 5)];
                frame::encode(out, channel, |out| {
                    write::descriptor(out, 0x15);
                    write::list(out, |out| {
                        write::bool(out, role);
                        write::uint(out, first);
                        write::uint(out, last);
                        write::bool(out, settled);
                        out.extend_from_slice(&[0x00, 0x53, state, 0x45]);
                        5
                    });
                });
                Ok(())
            }
            8 => {
                let detach = Detach {
                    handle,
                    closed: choices.byte().is_multiple_of(2),
                    error: None,
                };
                frame::encode_performative(out, channel, &detach)
            }
            _ => match choices.byte() {
                0..=200 => frame::encode_performative(out, channel, &End { error: None }),
                201..=210 => frame::encode_performative(out, channel, &Close { error: None }),
                211..=220 => frame::encode_performative(
                    out,
                    channel,
                    &Open {
                        container_id: String::new(),
                        hostname: None,
                        max_frame_size: 0.into(),
                        channel_max: 0.into(),
                        idle_time_out: Some(0),
                        outgoing_locales: None,
                        incoming_locales: None,
                        offered_capabilities: None,
                        desired_capabilities: None,
                        properties: None,
                    },
                ),
                _ => {
                    frame::encode_empty(out);
                    Ok(())
                }
            },
        };
        assert!(written.is_ok(), "a performative cannot be written");
    }

    /// An attach with the name of one of the client's links. Names are random, so the fuzzer would
    /// not find one.
    fn attach(&self, handle: Handle, choices: &mut Choices<'_>) -> Attach {
        let role = match choices.byte() % 2 {
            0 => Role::Receiver,
            _ => Role::Sender,
        };
        let names = self.connection.lock().link_names();
        let which = usize::from(choices.byte());
        let name = match names.len() {
            0 => "nobody".to_owned(),
            count => names[which % count].clone(),
        };
        let refused = choices.byte() > 220;
        Attach {
            name,
            handle,
            role,
            snd_settle_mode: Default::default(),
            rcv_settle_mode: Default::default(),
            source: (!refused).then(|| Box::new(Source::default())),
            target: (!refused).then(|| Box::new(TargetArchetype::Target(Target::default()))),
            unsettled: None,
            incomplete_unsettled: false,
            initial_delivery_count: (choices.byte() > 50).then(|| choices.number()),
            max_message_size: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        }
    }

    /// Invariants between any two events.
    fn check(&mut self) {
        let mut outcomes = Vec::new();
        let pending = self.tracker.take(&mut outcomes, 0);
        self.resolved += outcomes.len();
        assert_eq!(
            self.resolved + pending,
            self.sent as usize,
            "an outcome too many"
        );
        let protocol = self.connection.lock();
        assert!(
            protocol.session_count() <= 8,
            "more sessions than channel-max"
        );
        assert!(
            protocol.poll_output().pending() <= 8 * 1024 * 1024,
            "unread answers pile up"
        );
    }
}
