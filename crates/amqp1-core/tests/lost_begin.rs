//! RabbitMQ loses a begin that reaches the channel of a session about to end: nobody answers it.
//! Each call then continues on another channel.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
#[path = "support/calls.rs"]
mod calls;
#[allow(dead_code)]
#[path = "support/peer.rs"]
mod peer;

use std::time::Duration;

use amqp1_core::wire::frame::Frame;
use amqp1_core::{Consumer, ConsumerOptions, Wait};
use calls::{job, queue};
use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp_types::definitions::Role;
use fe2o3_amqp_types::messaging::{Accepted, DeliveryState};
use fe2o3_amqp_types::performatives::Disposition;
use peer::{begin, flow, message, Peer, Talk};

fn time() -> Wait<'static> {
    Wait::uninterrupted(Duration::from_secs(30))
}

/// Up to the session that the client opens after the first was not answered.
fn second_session(talk: &mut Talk) -> Option<()> {
    talk.handshake()?;
    for _ in 0..2 {
        talk.until(|body| matches!(body, FrameBody::Begin(_)))?;
    }
    talk.say(0, &begin(1))
}

fn attached(talk: &mut Talk) -> Option<()> {
    second_session(talk)?;
    talk.until(|body| matches!(body, FrameBody::Attach(_)))?;
    let answer = talk.attach();
    talk.say(0, &answer)
}

#[test]
fn a_push_goes_over_another_channel() {
    let peer = Peer::start(|talk| {
        attached(talk)?;
        talk.say(0, &flow(10))?;
        while !matches!(talk.hear()?, Frame::Transfer(..)) {}
        let accepted = Disposition {
            role: Role::Receiver,
            first: 0,
            last: None,
            settled: true,
            state: Some(DeliveryState::Accepted(Accepted {})),
            batchable: false,
        };
        talk.say(0, &accepted)?;
        talk.wait()
    });
    queue(&peer.dsn).push(&job(), &time()).unwrap();
    assert_eq!(peer.connections(), 1);
}

#[test]
fn a_consumer_goes_over_another_channel() {
    let mut peer = Peer::start(|talk| {
        attached(talk)?;
        talk.until(|body| matches!(body, FrameBody::Flow(_)))?;
        talk.transfer(3, Some(0), false, &message(b"job"))?;
        talk.wait()
    });
    peer.dsn.push_str("&timeout=30");
    let consumer = Consumer::new(vec![queue(&peer.dsn)], ConsumerOptions::default()).unwrap();
    let delivery = consumer.next(&time()).unwrap().expect("the job");
    assert_eq!(delivery.body(), b"job");
    assert_eq!(peer.connections(), 1);
}

#[test]
fn a_ping_goes_over_another_channel() {
    let peer = Peer::start(|talk| {
        second_session(talk)?;
        talk.wait()
    });
    queue(&peer.dsn).ping(&time()).unwrap();
    assert_eq!(peer.connections(), 1);
}
