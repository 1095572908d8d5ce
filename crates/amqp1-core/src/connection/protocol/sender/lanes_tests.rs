#![allow(clippy::unwrap_used)]
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp_types::definitions::{Handle, Role};
use fe2o3_amqp_types::performatives::{Attach, Begin, Detach, Flow};
use serde::Serialize;

use super::*;
use crate::base::wait::Signal;
use crate::connection::protocol::link::Phase;
use crate::connection::protocol::options::SenderOptions;
use crate::connection::protocol::remote::Remote;
use crate::connection::protocol::sessions::LinkKey;
use crate::connection::protocol::tracker::{Confirmation, Tracked, Tracker};
use crate::connection::protocol::Protocol;
use crate::error::{Error, Result};
use crate::wire::frame::Frame;

/// A sender with one attached lane and no credit, and what the client has written.
struct Client {
    protocol: Protocol,
    key: LinkKey,
    tracker: Tracker,
    sent: u64,
}

impl Client {
    fn new(further_lanes: u32, handle_max: u32) -> Self {
        let remote = Remote {
            max_frame_size: 512,
            channel_max: 10,
            ..Remote::default()
        };
        let now = Instant::now();
        let mut protocol = Protocol::new("test", &remote, Duration::from_secs(60), now);
        let options = SenderOptions {
            further_lanes,
            ..SenderOptions::default()
        };
        let signal = Signal::new();
        let key = protocol.open_sender("s".to_owned(), Some("q"), options, signal, now);
        let mut client = Self {
            protocol,
            key: key.unwrap(),
            tracker: Tracker::default(),
            sent: 0,
        };
        client.hear(&Begin {
            remote_channel: Some(0),
            next_outgoing_id: 0,
            incoming_window: 100,
            outgoing_window: 100,
            handle_max: Handle(handle_max),
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        });
        let attach = client.written().attaches.remove(0);
        client.answer(&attach, 0);
        client
    }

    fn hear(&mut self, performative: &impl Serialize) {
        let mut bytes = Vec::new();
        frame::encode_performative(&mut bytes, 0, performative).unwrap();
        let input = &mut BytesMut::from(&bytes[..]);
        self.protocol.handle_input(input, Instant::now()).unwrap();
    }

    /// The broker attaches its end, with this handle plus 100.
    fn answer(&mut self, attach: &Attach, handle: u32) {
        self.hear(&Attach {
            role: Role::Receiver,
            handle: Handle(100 + handle),
            initial_delivery_count: None,
            ..attach.clone()
        });
    }

    fn flow(&mut self, handle: u32, delivery_count: u32, credit: u32, window: u32, drain: bool) {
        let received = self.protocol.session(self.key).unwrap().0.next_outgoing();
        self.hear(&Flow {
            next_incoming_id: Some(received),
            incoming_window: window,
            next_outgoing_id: 0,
            outgoing_window: 100,
            handle: Some(Handle(100 + handle)),
            delivery_count: Some(delivery_count),
            link_credit: Some(credit),
            available: None,
            drain,
            echo: false,
            properties: None,
        });
    }

    fn detach(&mut self, handle: u32) {
        self.hear(&Detach {
            handle: Handle(100 + handle),
            closed: true,
            error: None,
        });
    }

    fn send(&mut self, count: u64, size: usize) {
        for _ in 0..count {
            let tracked = Tracked {
                tracker: self.tracker.clone(),
                index: self.sent,
            };
            let payload = Bytes::from(vec![7; size]);
            let sent: Result<()> = self.protocol.send(self.key, payload, 0, Some(tracked));
            sent.unwrap();
            self.sent += 1;
        }
    }

    fn written(&mut self) -> Written {
        let mut bytes = BytesMut::new();
        while !self.protocol.poll_output().is_empty() {
            let part = self.protocol.poll_output().beginning(usize::MAX);
            self.protocol.handle_written(part.len(), Instant::now());
            bytes.extend_from_slice(&part);
        }
        let mut written = Written::default();
        while let Some((_, frame)) = frame::decode(&mut bytes, 512).unwrap() {
            match frame {
                Frame::Transfer(transfer, _) => {
                    let id = transfer.delivery_id;
                    written.transfers.push((transfer.handle, id, transfer.more));
                }
                Frame::Other(body) => match *body {
                    FrameBody::Attach(attach) => written.attaches.push(attach),
                    FrameBody::Detach(detach) => written.detached.push(detach.handle.0),
                    FrameBody::Flow(flow) => written.flows.push(flow),
                    _ => {}
                },
                _ => {}
            }
        }
        written
    }

    fn lost(&self) -> usize {
        let mut outcomes = Vec::new();
        self.tracker.take(&mut outcomes, 0);
        let lost = |outcome: &&(u64, Confirmation)| matches!(outcome.1, Confirmation::Lost(_));
        outcomes.iter().filter(lost).count()
    }

    fn over(&mut self) -> Option<Error> {
        let (session, _) = self.protocol.session(self.key).ok()?;
        session.sender.as_ref()?.phase.over().cloned()
    }
}

#[derive(Default)]
struct Written {
    attaches: Vec<Attach>,
    /// Handle, delivery-id, more.
    transfers: Vec<(u32, Option<u32>, bool)>,
    detached: Vec<u32>,
    flows: Vec<Flow>,
}

/// A client whose second lane is attached, and has no credit.
fn with_two_lanes(waiting: u64) -> Client {
    let mut client = Client::new(1, 7);
    client.flow(0, 0, 2, 100, false);
    client.send(2 + waiting, 4);
    let written = client.written();
    assert_eq!(
        written.transfers,
        [(0, Some(0), false), (0, Some(1), false)]
    );
    client.answer(&written.attaches[0], 2);
    client
}

#[test]
fn another_lane_opens_when_the_credit_of_all_is_used_up_while_many_wait() {
    let mut client = Client::new(3, 7);
    client.send(40, 4);
    assert!(client.written().attaches.is_empty(), "before any credit");
    client.flow(0, 0, 9, 100, false);
    assert!(client.written().attaches.is_empty(), "31 wait");
    client.send(1, 4);
    let attaches = client.written().attaches;
    assert_eq!(attaches.len(), 1);
    assert_eq!(
        (attaches[0].name.as_str(), attaches[0].handle.0),
        ("s-2", 2)
    );
    client.send(10, 4);
    assert!(client.written().attaches.is_empty(), "one after another");
    client.answer(&attaches[0], 2);
    client.flow(2, 0, 5, 100, false);
    let written = client.written();
    let expected: Vec<_> = (9..14).map(|id| (2, Some(id), false)).collect();
    assert_eq!(written.transfers, expected, "one count of deliveries");
    assert_eq!(written.attaches[0].handle.0, 3);
}

#[test]
fn credit_that_a_drain_takes_is_no_reason_for_another_lane() {
    let mut client = Client::new(3, 7);
    client.flow(0, 0, 5, 100, true);
    client.send(40, 4);
    let written = client.written();
    assert_eq!((written.attaches.len(), written.transfers.len()), (0, 0));
    let drained = &written.flows[0];
    assert_eq!(
        (drained.delivery_count, drained.link_credit),
        (Some(5), Some(0))
    );
}

#[test]
fn a_drain_with_messages_waiting_for_the_window_is_answered_in_full() {
    let mut client = with_two_lanes(40);
    client.flow(2, 0, 5, 3, true);
    let written = client.written();
    assert_eq!(written.transfers.len(), 3);
    let drained = &written.flows[0];
    assert_eq!(drained.handle, Some(Handle(2)));
    assert_eq!(
        (drained.delivery_count, drained.link_credit),
        (Some(5), Some(0))
    );
}

#[test]
fn the_frames_of_a_message_stay_together_on_one_lane() {
    let mut client = with_two_lanes(40);
    client.send(1, 1200);
    client.flow(2, 0, 41, 41, false);
    let written = client.written();
    assert_eq!(written.transfers.last(), Some(&(2, Some(42), true)));
    client.flow(0, 2, 9, 1, false);
    assert_eq!(client.written().transfers, [(2, None, true)]);
    client.send(1, 4);
    client.flow(0, 2, 9, 9, false);
    let rest = [(2, None, false), (0, Some(43), false)];
    assert_eq!(client.written().transfers, rest);
}

#[test]
fn a_refused_lane_loses_nothing_and_no_other_is_tried() {
    let mut client = Client::new(3, 7);
    client.flow(0, 0, 2, 100, false);
    client.send(42, 4);
    let mut refused = client.written().attaches.remove(0);
    refused.target = None;
    client.answer(&refused, 2);
    client.flow(2, 0, 10, 100, false);
    client.detach(2);
    client.flow(2, 0, 10, 100, true);
    let written = client.written();
    assert_eq!((written.detached, written.transfers), (vec![2], vec![]));
    assert!(
        written.flows.is_empty(),
        "an answer on a handle that is gone"
    );
    client.flow(0, 2, 4, 100, false);
    let written = client.written();
    assert_eq!((written.transfers.len(), written.attaches.len()), (4, 0));
    assert_eq!((client.lost(), client.over()), (0, None));
}

/// Messages on the other lanes would overtake those that are sent again.
#[test]
fn the_end_of_a_lane_is_the_end_of_the_sender() {
    for handle in [0, 2] {
        let mut client = with_two_lanes(40);
        client.flow(2, 0, 3, 100, false);
        client.written();
        client.detach(handle);
        assert_eq!(client.written().detached, [handle]);
        assert!(client.over().is_some());
        assert_eq!(client.lost(), 42);
    }
}

#[test]
fn lanes_stay_within_the_brokers_handles() {
    for (handle_max, lanes) in [(0, 1), (1, 1), (2, 2), (7, 4)] {
        let mut client = Client::new(3, handle_max);
        let mut attached = 1;
        client.send(200, 4);
        client.flow(0, 0, 1, 100, false);
        while let Some(attach) = client.written().attaches.pop() {
            let handle = attach.handle.0;
            client.answer(&attach, handle);
            client.flow(handle, 0, 1, 100, false);
            attached += 1;
        }
        assert_eq!(attached, lanes, "handle-max {handle_max}");
    }
}

#[test]
fn a_closed_sender_detaches_every_lane() {
    let mut client = with_two_lanes(40);
    client.protocol.end_session(client.key);
    assert_eq!(client.written().detached, [0, 2]);
    assert!(client.over().is_some());
}

#[test]
fn the_smallest_limit_for_messages_holds() {
    for (first, second, least) in [(0, 0, 0), (9, 0, 9), (0, 7, 7), (9, 7, 7), (7, 9, 7)] {
        let mut client = Client::new(1, 7);
        let limit = |client: &mut Client, limit: u64| {
            let (session, _) = client.protocol.session(client.key).unwrap();
            let sender = session.sender.as_mut().unwrap();
            sender.max_message_size = limit;
        };
        limit(&mut client, first);
        client.flow(0, 0, 1, 100, false);
        client.send(40, 4);
        let mut attach = client.written().attaches.remove(0);
        attach.max_message_size = Some(second);
        client.answer(&attach, 2);
        let (session, _) = client.protocol.session(client.key).unwrap();
        let sender = session.sender.as_ref().unwrap();
        assert_eq!(sender.phase, Phase::Attached);
        assert_eq!(sender.max_message_size, least, "{first} {second}");
    }
}
