//! Sessions and links with raw frames: windows, credit, drain, settlement, and errors that end
//! them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp_types::definitions::{
    AmqpError, ErrorCondition, Handle, LinkError, ReceiverSettleMode, Role, SenderSettleMode,
    SessionError,
};
use fe2o3_amqp_types::messaging::{Accepted, DeliveryState, Outcome, Rejected, Released};
use fe2o3_amqp_types::performatives::{Detach, End};
use support::raw::{attach, begin, disposition, flow, frame, transfer, Raw, MESSAGE};
use support::*;

fn condition(error: Option<fe2o3_amqp_types::definitions::Error>) -> ErrorCondition {
    error.expect("an error").condition
}

#[tokio::test]
async fn transfers_beyond_credit_detach_the_link() {
    let broker = broker_with(|o| o.rabbitmq.publisher_credit = 2);
    let mut raw = Raw::connect(&broker, 100).await;
    raw.send(&attach("s", 0, Role::Sender, Some("q"))).await;
    raw.next().await;
    assert!(matches!(raw.next().await, FrameBody::Flow(f) if f.link_credit == Some(2)));
    // In one write, so that no new credit arrives in between.
    let said: Vec<Vec<u8>> = (0..3)
        .map(|id| frame(0, &transfer(0, Some(id), false), MESSAGE))
        .collect();
    raw.say(&said.concat()).await;
    assert!(matches!(raw.next().await, FrameBody::Disposition(d) if d.last == Some(1)));
    let FrameBody::Detach(detach) = raw.next().await else {
        panic!("no detach");
    };
    let exceeded = ErrorCondition::LinkError(LinkError::TransferLimitExceeded);
    assert_eq!(condition(detach.error), exceeded);
    assert_eq!(ready(&broker, "q"), 2);
}

#[tokio::test]
async fn credit_is_topped_up_as_it_is_used() {
    let broker = broker_with(|o| o.rabbitmq.publisher_credit = 4);
    let mut raw = Raw::connect(&broker, 100).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    for id in 0..2 {
        raw.send_with(&transfer(0, Some(id), false), MESSAGE).await;
        assert!(matches!(raw.next().await, FrameBody::Disposition(_)));
    }
    let FrameBody::Flow(credit) = raw.next().await else {
        panic!("no new credit");
    };
    assert_eq!(
        (credit.delivery_count, credit.link_credit),
        (Some(2), Some(4))
    );
}

/// Clients open several links to one target for more credit, and count on the order.
#[tokio::test]
async fn several_links_of_a_session_send_to_one_queue_in_the_order_of_their_frames() {
    let broker = broker_with(|o| o.rabbitmq.publisher_credit = 4);
    let mut raw = Raw::connect(&broker, 100).await;
    for (name, handle) in [("s", 0), ("t", 2), ("u", 3)] {
        raw.attach(&attach(name, handle, Role::Sender, Some("q")))
            .await;
    }
    let body = |id: u32| [b"\x00\x53\x75\xa0\x01", &[id as u8][..]].concat();
    let handles = [2, 0, 0, 3, 2, 3, 0, 2, 3];
    for (id, handle) in (0..).zip(handles) {
        let body = body(id);
        raw.send_with(&transfer(handle, Some(id), true), &body[..3])
            .await;
        raw.send_with(&transfer(handle, None, false), &body[3..])
            .await;
    }
    let (mut settled, mut granted) = (0, Vec::new());
    while settled < handles.len() || granted.len() < 3 {
        match raw.next().await {
            FrameBody::Disposition(d) => {
                let count = d.last.map_or(1, |last| last + 1 - d.first);
                settled += count as usize;
            }
            FrameBody::Flow(flow) => granted.push(flow.handle),
            other => panic!("{other:?}"),
        }
    }
    raw.attach(&attach("r", 4, Role::Receiver, Some("q"))).await;
    raw.send(&flow(Some(4), 0, 100)).await;
    for id in 0..handles.len() as u32 {
        let (_, payload) = raw.transfer().await;
        assert!(payload.ends_with(&body(id)), "{id}: {payload:?}");
    }
}

#[tokio::test]
async fn a_transfer_without_a_link_ends_the_session_only() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 100).await;
    raw.send_with(&transfer(5, Some(0), false), MESSAGE).await;
    let FrameBody::End(end) = raw.next().await else {
        panic!("no end");
    };
    let unattached = ErrorCondition::SessionError(SessionError::UnattachedHandle);
    assert_eq!(condition(end.error), unattached);
    // Frames that cross the end are ignored; then the channel is free again.
    raw.send_with(&transfer(5, Some(1), false), MESSAGE).await;
    raw.send(&End { error: None }).await;
    raw.send(&begin(100)).await;
    assert!(matches!(raw.next().await, FrameBody::Begin(_)));
}

#[tokio::test]
async fn limits_of_channels_and_handles_hold() {
    let broker = broker_with(|o| {
        o.rabbitmq.max_sessions = 4;
        o.rabbitmq.max_links = 4;
    });
    let mut raw = Raw::connect(&broker, 100).await;
    raw.say(&frame(4, &begin(1), b"")).await;
    assert!(matches!(raw.next().await, FrameBody::Close(c) if c.error.is_some()));
    let mut raw = Raw::connect(&broker, 100).await;
    raw.send(&attach("r", 4, Role::Receiver, Some("q"))).await;
    assert!(matches!(raw.next().await, FrameBody::Close(c) if c.error.is_some()));
    let mut raw = Raw::connect(&broker, 100).await;
    raw.attach(&attach("a", 0, Role::Receiver, Some("q"))).await;
    raw.send(&attach("b", 0, Role::Receiver, Some("q"))).await;
    let FrameBody::End(end) = raw.next().await else {
        panic!("no end");
    };
    let in_use = ErrorCondition::SessionError(SessionError::HandleInUse);
    assert_eq!(condition(end.error), in_use);
}

#[tokio::test]
async fn an_aborted_delivery_leaves_no_trace() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 100).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    raw.send_with(&transfer(0, Some(0), true), b"\x00\x53\x75\xa0\x05begun")
        .await;
    let mut aborted = transfer(0, None, false);
    aborted.aborted = true;
    raw.send(&aborted).await;
    raw.send_with(&transfer(0, Some(1), true), &MESSAGE[..3])
        .await;
    raw.send_with(&transfer(0, None, false), &MESSAGE[3..])
        .await;
    assert!(matches!(raw.next().await, FrameBody::Disposition(d) if d.first == 1));
    assert_eq!(ready(&broker, "q"), 1);
    raw.attach(&attach("r", 1, Role::Receiver, Some("q"))).await;
    raw.send(&flow(Some(1), 0, 1)).await;
    assert!(raw.transfer().await.1.ends_with(MESSAGE));
}

#[tokio::test]
async fn a_message_that_is_none_is_rejected() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 100).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    raw.send_with(&transfer(0, Some(0), false), b"junk").await;
    let FrameBody::Disposition(d) = raw.next().await else {
        panic!("no disposition");
    };
    let Some(DeliveryState::Rejected(Rejected { error })) = d.state else {
        panic!("not rejected");
    };
    assert_eq!(
        condition(error),
        ErrorCondition::AmqpError(AmqpError::DecodeError)
    );
    assert_eq!(ready(&broker, "q"), 0);
}

#[tokio::test]
async fn drain_gives_what_there_is_and_takes_the_rest() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 100).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    for id in 0..2 {
        raw.send_with(&transfer(0, Some(id), false), MESSAGE).await;
        raw.next().await;
    }
    raw.attach(&attach("r", 1, Role::Receiver, Some("q"))).await;
    let mut drain = flow(Some(1), 0, 10);
    drain.drain = true;
    raw.send(&drain).await;
    raw.transfer().await;
    raw.transfer().await;
    let FrameBody::Flow(answer) = raw.next().await else {
        panic!("the drain is not answered");
    };
    assert!(answer.drain);
    assert_eq!(
        (answer.delivery_count, answer.link_credit),
        (Some(10), Some(0))
    );
    // No credit is left.
    raw.send_with(&transfer(0, Some(2), false), MESSAGE).await;
    raw.next().await;
    assert!(raw.sync(flow(None, 0, 0)).await.is_empty());
    // New credit counts from the drain's delivery-count.
    raw.send(&flow(Some(1), 10, 1)).await;
    raw.transfer().await;
}

#[tokio::test]
async fn echo_is_answered_with_the_links_state() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 100).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    for id in 0..3 {
        raw.send_with(&transfer(0, Some(id), false), MESSAGE).await;
        raw.next().await;
    }
    raw.attach(&attach("r", 1, Role::Receiver, Some("q"))).await;
    let mut echo = flow(Some(1), 0, 0);
    echo.echo = true;
    raw.send(&echo).await;
    let FrameBody::Flow(answer) = raw.next().await else {
        panic!("no answer");
    };
    assert_eq!(answer.handle, Some(Handle(1)));
    assert_eq!(answer.available, Some(3));
    assert_eq!(
        (answer.delivery_count, answer.link_credit),
        (Some(0), Some(0))
    );
}

#[tokio::test]
async fn the_peers_window_holds_transfers_back() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 2).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    for id in 0..5 {
        raw.send_with(&transfer(0, Some(id), false), MESSAGE).await;
        raw.next().await;
    }
    raw.attach(&attach("r", 1, Role::Receiver, Some("q"))).await;
    let mut credit = flow(Some(1), 0, 5);
    credit.incoming_window = 2;
    raw.send(&credit).await;
    raw.transfer().await;
    raw.transfer().await;
    let mut told = flow(None, 0, 0);
    (told.next_incoming_id, told.incoming_window) = (Some(2), 0);
    assert!(raw.sync(told.clone()).await.is_empty(), "beyond the window");
    told.incoming_window = 1;
    raw.send(&told).await;
    raw.transfer().await;
    (told.next_incoming_id, told.incoming_window) = (Some(3), 100);
    raw.send(&told).await;
    raw.transfer().await;
    raw.transfer().await;
}

#[tokio::test]
async fn lowered_credit_takes_unsent_deliveries_back() {
    let broker = broker();
    // The window is closed, so all deliveries for the link wait.
    let mut raw = Raw::connect(&broker, 0).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    for id in 0..5 {
        raw.send_with(&transfer(0, Some(id), false), MESSAGE).await;
        raw.next().await;
    }
    raw.attach(&attach("r", 1, Role::Receiver, Some("q"))).await;
    let mut credit = flow(Some(1), 0, 5);
    credit.incoming_window = 0;
    raw.send(&credit).await;
    until("assignment", || counts(&broker, "q").unsettled == 5).await;
    credit.link_credit = Some(2);
    raw.send(&credit).await;
    until("return", || counts(&broker, "q").unsettled == 2).await;
    assert_eq!(ready(&broker, "q"), 3);
}

#[tokio::test]
async fn dispositions_are_ranges_both_ways() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 1000).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    let mut all = Vec::new();
    for id in 0..20 {
        all.extend(frame(0, &transfer(0, Some(id), false), MESSAGE));
    }
    raw.say(&all).await;
    let mut settled = 0;
    let mut frames = 0;
    while settled < 20 {
        let FrameBody::Disposition(d) = raw.next().await else {
            panic!("no disposition");
        };
        assert_eq!(d.first, settled);
        settled = d.last.unwrap_or(d.first) + 1;
        frames += 1;
    }
    assert!(frames < 20, "they were said in one write");
    let mut receiver = attach("r", 1, Role::Receiver, Some("q"));
    receiver.rcv_settle_mode = ReceiverSettleMode::Second;
    raw.attach(&receiver).await;
    raw.send(&flow(Some(1), 0, 20)).await;
    for _ in 0..20 {
        raw.transfer().await;
    }
    raw.send(&disposition(0, 9, false)).await;
    let FrameBody::Disposition(d) = raw.next().await else {
        panic!("no disposition");
    };
    assert_eq!((d.role, d.settled), (Role::Sender, true));
    assert_eq!((d.first, d.last), (0, Some(9)));
    assert!(d.state.unwrap().is_accepted());
    assert_eq!(counts(&broker, "q").unsettled, 10);
    // A range of two billion deliveries covers only those that exist.
    let mut released = disposition(10, i32::MAX as u32, true);
    released.state = Some(Released {}.into());
    raw.send(&released).await;
    raw.sync(flow(None, 0, 0)).await;
    assert_eq!(counts(&broker, "q").unsettled, 0);
}

#[tokio::test]
async fn a_detach_that_crosses_is_passed_over() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 1).await;
    let detach = Detach {
        handle: Handle(0),
        closed: true,
        error: None,
    };
    raw.attach(&attach("r", 0, Role::Receiver, Some("q"))).await;
    raw.send(&detach).await;
    raw.send(&detach).await;
    assert!(matches!(raw.next().await, FrameBody::Detach(d) if d.closed && d.error.is_none()));
    assert!(raw.sync(flow(None, 0, 0)).await.is_empty());
}

#[tokio::test]
async fn a_delivery_that_is_settled_cannot_be_settled_again() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 100).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    for id in 0..2 {
        raw.send_with(&transfer(0, Some(id), false), MESSAGE).await;
        raw.next().await;
    }
    let mut pre_settled = attach("p", 1, Role::Receiver, Some("q"));
    pre_settled.snd_settle_mode = SenderSettleMode::Settled;
    raw.attach(&pre_settled).await;
    raw.send(&flow(Some(1), 0, 1)).await;
    assert_eq!(raw.transfer().await.0.settled, Some(true));
    raw.attach(&attach("r", 2, Role::Receiver, Some("q"))).await;
    raw.send(&flow(Some(2), 0, 1)).await;
    raw.transfer().await;
    raw.send(&disposition(1, 1, true)).await;
    raw.send(&disposition(0, 1, false)).await;
    assert!(raw.sync(flow(None, 0, 0)).await.is_empty(), "an answer");
    assert_eq!(counts(&broker, "q").unsettled, 0);
}

#[tokio::test]
async fn what_is_settled_without_a_state_has_the_default_outcome() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 100).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    raw.send_with(&transfer(0, Some(0), false), MESSAGE).await;
    raw.next().await;
    let mut stateless = disposition(0, 0, true);
    stateless.state = None;
    raw.attach(&attach("r", 1, Role::Receiver, Some("q"))).await;
    raw.send(&flow(Some(1), 0, 1)).await;
    raw.transfer().await;
    raw.send(&stateless).await;
    raw.sync(flow(None, 0, 0)).await;
    assert_eq!(ready(&broker, "q"), 1, "released");
    let mut accepting = attach("a", 2, Role::Receiver, Some("q"));
    accepting.source.as_mut().unwrap().default_outcome = Some(Outcome::Accepted(Accepted {}));
    raw.attach(&accepting).await;
    raw.send(&flow(Some(2), 0, 1)).await;
    raw.transfer().await;
    (stateless.first, stateless.last) = (1, None);
    raw.send(&stateless).await;
    raw.sync(flow(None, 0, 0)).await;
    assert_eq!(ready(&broker, "q") + counts(&broker, "q").unsettled, 0);
}

#[tokio::test]
async fn a_delivery_held_for_too_long_is_taken_back_and_settled_before_more_come() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 100).await;
    let mut client = connect(&broker).await;
    let mut sender = client.sender("q").await;
    for body in ["one", "two"] {
        assert!(send(&mut sender, body).await.is_accepted());
    }
    let mut attach = attach("r", 0, Role::Receiver, Some("q"));
    let timeout = ("rabbitmq:consumer-timeout".into(), 50_u32.into());
    attach.properties = Some([timeout].into_iter().collect());
    raw.attach(&attach).await;
    raw.send(&flow(Some(0), 0, 1)).await;
    raw.transfer().await;
    let FrameBody::Disposition(taken) = raw.next().await else {
        panic!("not taken back");
    };
    let released = Some(DeliveryState::Released(Released {}));
    assert_eq!((taken.role, taken.settled), (Role::Sender, false));
    assert_eq!((taken.first, taken.state), (0, released));
    assert_eq!(ready(&broker, "q"), 2);
    // No delivery for this credit until the first one is settled; then the message is delivered
    // again.
    let before = raw.sync(flow(Some(0), 1, 1)).await;
    assert!(before.is_empty(), "{before:?}");
    raw.send(&disposition(0, 0, true)).await;
    let (again, payload) = raw.transfer().await;
    assert_eq!(again.delivery_id, Some(1));
    let counted = b"x-acquired-count";
    assert!(payload.windows(counted.len()).any(|part| part == counted));
}
