//! The Service Bus dialect with raw frames: behaviour that Microsoft's SDKs would hide, or test too
//! slowly.
#![cfg(feature = "servicebus")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use amqp1_broker::servicebus::settings::{QueueSettings, Timers};
use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp_types::definitions::{Error, Fields, SenderSettleMode};
use fe2o3_amqp_types::messaging::{DeliveryState, Modified, Properties};
use fe2o3_amqp_types::performatives::{Disposition, Flow};
use serde_amqp::Value;
use support::raw::{disposition, flow, frame, transfer, Raw, MESSAGE};
use support::servicebus::*;

#[tokio::test]
async fn a_link_needs_a_token_and_goes_with_it() {
    let broker = broker(|s| {
        s.require_token = true;
        // Shorter than the token's life: it counts again from the token's expiry.
        s.timers.no_token = SECOND;
    });
    let mut raw = connect(&broker).await;
    let answer = raw.attach(&sender(5, "q")).await;
    assert!(answer.source.is_none() && answer.target.is_none());
    assert_eq!(
        condition(&detached(&mut raw).await),
        "amqp:unauthorized-access"
    );

    assert_eq!(
        put_token(&mut raw, &token("SAS_KEY_VALUE", seconds_from_now(2))).await,
        202
    );
    assert!(raw.attach(&sender(6, "q")).await.target.is_some());
    assert!(raw.attach(&sender(7, "other")).await.target.is_none());
    detached(&mut raw).await;
    // When the token expires, the link is detached, but $cbs stays.
    assert_eq!(
        condition(&detached(&mut raw).await),
        "amqp:unauthorized-access"
    );
    assert!(raw.attach(&sender(8, "q")).await.target.is_none());
}

#[tokio::test]
async fn wrong_tokens_are_refused() {
    let broker = broker(|_| {});
    for wrong in [
        token("other", seconds_from_now(60)),
        token("SAS_KEY_VALUE", 1000),
        "ey.ey.ey".to_owned(),
        String::new(),
    ] {
        let mut raw = connect(&broker).await;
        assert_eq!(put_token(&mut raw, &wrong).await, 401);
    }
}

#[tokio::test]
async fn peers_that_do_nothing_are_dropped() {
    let quick = Timers {
        no_token: 4 * SECOND / 10,
        no_link: 4 * SECOND / 10,
        links_gone: 4 * SECOND / 10,
        link_idle: 4 * SECOND / 10,
    };
    let timers = |change: fn(&mut Timers)| {
        let mut timers = Timers {
            no_token: Duration::ZERO,
            no_link: Duration::ZERO,
            links_gone: Duration::ZERO,
            link_idle: Duration::ZERO,
        };
        change(&mut timers);
        timers
    };
    let idle = broker(|s| s.timers = timers(|t| t.no_link = 4 * SECOND / 10));
    let mut raw = connect(&idle).await;
    assert_eq!(condition(&closed(&mut raw).await), "amqp:connection:forced");

    let strict = broker(|s| {
        s.require_token = true;
        s.timers = timers(|t| t.no_token = 4 * SECOND / 10);
    });
    let mut raw = connect(&strict).await;
    assert_eq!(condition(&closed(&mut raw).await), "amqp:connection:forced");

    let all = broker(|s| s.timers = quick);
    let mut raw = connect(&all).await;
    raw.attach(&sender(0, "q")).await;
    assert_eq!(
        condition(&detached(&mut raw).await),
        "amqp:link:detach-forced"
    );
    assert_eq!(condition(&closed(&mut raw).await), "amqp:connection:forced");
}

#[tokio::test]
async fn there_are_no_more_connections_than_there_may_be() {
    let broker = broker(|s| s.max_connections = 1);
    let _first = connect(&broker).await;
    let mut second = Raw::silent(&broker);
    second.say(support::raw::HEADER).await;
    second.send(&support::raw::open()).await;
    second.expect_header().await;
    assert!(matches!(second.next().await, FrameBody::Open(_)));
    let error = closed(&mut second).await;
    assert_eq!(condition(&error), "amqp:resource-limit-exceeded");
}

#[tokio::test]
async fn peek_lock_settles_with_an_answer_and_loses_with_an_error() {
    let broker = with_queue(QueueSettings {
        lock_duration: 3 * SECOND / 10,
        ..QueueSettings::default()
    });
    let mut raw = connect(&broker).await;
    raw.attach(&sender(0, "q")).await;
    assert!(matches!(
        send(&mut raw, 0, 0).await,
        DeliveryState::Accepted(_)
    ));
    raw.attach(&receiver(1, "q")).await;
    raw.send(&flow(Some(1), 0, 1)).await;
    let (first, payload) = raw.transfer().await;
    assert_eq!(first.delivery_tag.unwrap().as_slice().len(), 16);
    assert_eq!((first.settled, delivery_count(&payload)), (Some(false), 0));

    // The lock expires, and the message is delivered again, but only for fresh credit.
    tokio::time::sleep(SECOND / 2).await;
    assert!(raw.sync(flow(None, 0, 0)).await.is_empty());
    raw.send(&disposition(
        first.delivery_id.unwrap(),
        first.delivery_id.unwrap(),
        false,
    ))
    .await;
    let answer = disposed(&mut raw).await;
    let Some(DeliveryState::Rejected(rejected)) = answer.state else {
        panic!("{answer:?}");
    };
    let error = rejected.error.unwrap();
    assert_eq!(condition(&error), "com.microsoft:message-lock-lost");
    assert!(
        error.description.is_some() && error.info.is_some(),
        "Python needs all three"
    );

    raw.send(&flow(Some(1), 1, 1)).await;
    let (second, payload) = raw.transfer().await;
    assert_eq!(delivery_count(&payload), 1);
    let id = second.delivery_id.unwrap();
    raw.send(&disposition(id, id, false)).await;
    let answer = disposed(&mut raw).await;
    assert!(answer.settled && matches!(answer.state, Some(DeliveryState::Accepted(_))));
    assert_eq!(broker.queue_counts("q").unwrap().ready, 0);
}

#[tokio::test]
async fn modified_abandons_or_defers() {
    let broker = broker(|_| {});
    let mut raw = connect(&broker).await;
    raw.attach(&sender(0, "q")).await;
    send(&mut raw, 0, 0).await;
    raw.attach(&receiver(1, "q")).await;
    raw.send(&flow(Some(1), 0, 2)).await;
    for (undeliverable_here, count) in [(false, 0), (true, 1)] {
        let (given, payload) = raw.transfer().await;
        assert_eq!(delivery_count(&payload), count);
        let id = given.delivery_id.unwrap();
        let modified = Modified {
            delivery_failed: Some(true),
            undeliverable_here: Some(undeliverable_here),
            message_annotations: None,
        };
        let settle = Disposition {
            state: Some(modified.into()),
            ..disposition(id, id, false)
        };
        raw.send(&settle).await;
        assert!(matches!(
            disposed(&mut raw).await.state,
            Some(DeliveryState::Modified(_))
        ));
    }
    let counts = broker.queue_counts("q").unwrap();
    assert_eq!((counts.ready, counts.delayed), (0, 1));
}

#[tokio::test]
async fn nothing_is_locked_without_credit_and_a_drain_is_answered() {
    let broker = broker(|_| {});
    let mut raw = connect(&broker).await;
    raw.attach(&sender(0, "q")).await;
    for id in 0..3 {
        send(&mut raw, 0, id).await;
    }
    raw.attach(&receiver(1, "q")).await;
    assert!(raw.sync(flow(None, 0, 0)).await.is_empty());
    assert_eq!(broker.queue_counts("q").unwrap().unsettled, 0);
    raw.send(&flow(Some(1), 0, 1)).await;
    raw.transfer().await;
    assert_eq!(broker.queue_counts("q").unwrap().ready, 2);
    let drain = Flow {
        drain: true,
        ..flow(Some(1), 1, 10)
    };
    raw.send(&drain).await;
    raw.transfer().await;
    raw.transfer().await;
    let FrameBody::Flow(answer) = raw.next().await else {
        panic!("no flow");
    };
    assert!(answer.drain);
    assert_eq!(
        (answer.link_credit, answer.delivery_count),
        (Some(0), Some(11))
    );
}

#[tokio::test]
async fn receive_and_delete_is_gone_when_it_is_sent() {
    let broker = broker(|_| {});
    let mut raw = connect(&broker).await;
    raw.attach(&sender(0, "q")).await;
    send(&mut raw, 0, 0).await;
    let mut attach = receiver(1, "q");
    attach.snd_settle_mode = SenderSettleMode::Settled;
    raw.attach(&attach).await;
    raw.send(&flow(Some(1), 0, 1)).await;
    let (given, _) = raw.transfer().await;
    assert_eq!(given.settled, Some(true));
    raw.sync(flow(None, 0, 0)).await;
    let counts = broker.queue_counts("q").unwrap();
    assert_eq!((counts.ready, counts.unsettled), (0, 0));
}

#[tokio::test]
async fn a_wish_for_a_session_is_held_then_granted_or_refused() {
    let broker = with_queue(QueueSettings {
        requires_session: true,
        ..QueueSettings::default()
    });
    let mut raw = connect(&broker).await;
    let refused = raw.attach(&session_receiver(0, Value::Null, 200)).await;
    assert!(refused.source.is_none());
    assert_eq!(
        condition(&detached(&mut raw).await),
        "com.microsoft:timeout"
    );

    // The peer gives up: an attach must precede the detach.
    raw.send(&session_receiver(5, Value::Null, 10_000)).await;
    raw.send(&fe2o3_amqp_types::performatives::Detach {
        handle: 5.into(),
        closed: true,
        error: None,
    })
    .await;
    assert!(matches!(raw.next().await, FrameBody::Attach(a) if a.source.is_none()));
    assert!(matches!(raw.next().await, FrameBody::Detach(d) if d.error.is_none()));

    // The attach waits until there is a session, with the credit granted in the meantime.
    raw.send(&session_receiver(1, Value::Null, 10_000)).await;
    raw.send(&flow(Some(1), 0, 5)).await;
    assert!(raw.sync(flow(None, 0, 0)).await.is_empty());
    let mut other = connect(&broker).await;
    other.attach(&sender(0, "q")).await;
    let properties = Properties {
        group_id: Some("s1".into()),
        ..Properties::default()
    };
    let mut message = serde_amqp::to_vec(&properties).unwrap();
    message.extend(MESSAGE);
    other
        .send_with(&transfer(0, Some(0), false), &message)
        .await;
    let FrameBody::Attach(granted) = raw.next().await else {
        panic!("no attach");
    };
    let filter = granted.source.unwrap().filter.unwrap();
    assert_eq!(
        filter.get("com.microsoft:session-filter"),
        Some(&Value::from("s1"))
    );
    let until = granted.properties.unwrap();
    let until = until.get("com.microsoft:locked-until-utc");
    assert!(matches!(until, Some(Value::Long(ticks)) if *ticks > 638_000_000_000_000_000));
    raw.transfer().await;

    // A session that another link holds, and a missing one.
    disposed(&mut other).await;
    let taken = session_receiver(1, Value::from("s1"), 100);
    assert!(other.attach(&taken).await.source.is_none());
    let error = detached(&mut other).await;
    assert_eq!(condition(&error), "com.microsoft:session-cannot-be-locked");
    let plain = raw.attach(&receiver(3, "q")).await;
    assert!(plain.source.is_none());
    assert_eq!(condition(&detached(&mut raw).await), "amqp:not-allowed");
}

#[tokio::test]
async fn a_link_that_waits_for_a_session_is_not_idle() {
    let broker = broker(|s| {
        s.timers.link_idle = SECOND / 10;
        let requires_session = true;
        let queue = QueueSettings {
            requires_session,
            ..QueueSettings::default()
        };
        s.queues = vec![("q".into(), queue)];
    });
    let mut raw = connect(&broker).await;
    raw.attach(&session_receiver(0, Value::Null, 400)).await;
    assert_eq!(
        condition(&detached(&mut raw).await),
        "com.microsoft:timeout"
    );
}

#[tokio::test]
async fn answers_go_to_the_link_that_is_named_or_near() {
    let broker = broker(|_| {});
    let mut raw = connect(&broker).await;
    raw.attach(&sender(0, "q/$management")).await;
    for handle in [1, 2] {
        let mut attach = receiver(handle, "q/$management");
        attach.target = Some(Box::new(
            fe2o3_amqp_types::messaging::Target::builder()
                .address(format!("me-{handle}"))
                .build()
                .into(),
        ));
        raw.attach(&attach).await;
        raw.send(&flow(Some(handle), 0, 5)).await;
    }
    let pairs = [("operation", "com.microsoft:nothing")];
    for (reply_to, handle) in [
        ("me-1", 1),
        ("me-2", 2),
        ("from 1", 1),
        ("q/$management", 2),
    ] {
        let request = request(reply_to, &pairs, &Value::Null);
        raw.send_with(&transfer(0, Some(handle), false), &request)
            .await;
        disposed(&mut raw).await;
        let (answer, payload) = raw.transfer().await;
        assert_eq!(answer.handle.0, handle, "{reply_to}");
        assert_eq!(status(&payload, "statusCode"), 501);
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_is_rejected_and_the_link_goes_on() {
    let broker = broker(|s| s.max_message_size = 100);
    let mut raw = connect(&broker).await;
    let attached = raw.attach(&sender(0, "q")).await;
    assert_eq!(attached.max_message_size, Some(100));
    raw.send_with(&transfer(0, Some(0), true), &[0; 80]).await;
    raw.send_with(&transfer(0, None, true), &[0; 80]).await;
    raw.send_with(&transfer(0, None, false), &[0; 80]).await;
    let Some(DeliveryState::Rejected(rejected)) = disposed(&mut raw).await.state else {
        panic!("not rejected");
    };
    assert_eq!(
        condition(&rejected.error.unwrap()),
        "amqp:link:message-size-exceeded"
    );
    assert!(matches!(
        send(&mut raw, 0, 1).await,
        DeliveryState::Accepted(_)
    ));
}

#[tokio::test]
async fn pipelined_openings_are_taken() {
    let broker = broker(|_| {});
    let mut raw = Raw::silent(&broker);
    let mut all = support::raw::HEADER.to_vec();
    all.extend(frame(0, &support::raw::open(), b""));
    all.extend(frame(0, &support::raw::begin(100), b""));
    all.extend(frame(0, &sender(0, "amqps://host:5671/Q"), b""));
    raw.say(&all).await;
    raw.expect_header().await;
    assert!(matches!(raw.next().await, FrameBody::Open(_)));
    assert!(matches!(raw.next().await, FrameBody::Begin(_)));
    assert!(matches!(raw.next().await, FrameBody::Attach(a) if a.target.is_some()));
    assert_eq!(broker.queue_names(), ["Q"]);
}

/// The broker may refuse any input, but it must survive.
#[tokio::test]
async fn damaged_frames_never_harm_the_broker() {
    let broker = broker(|_| {});
    let renew = request(
        "me",
        &[("operation", "com.microsoft:renew-lock")],
        &Value::Null,
    );
    let dead_letter = DeliveryState::Rejected(fe2o3_amqp_types::messaging::Rejected {
        error: Some(Error::new(
            fe2o3_amqp_types::definitions::AmqpError::NotAllowed,
            "why".to_owned(),
            Fields::new(),
        )),
    });
    let settle = Disposition {
        state: Some(dead_letter),
        ..disposition(0, 0, false)
    };
    let frames = [
        frame(0, &session_receiver(3, Value::Null, 100), b""),
        frame(0, &transfer(1, Some(0), false), &renew),
        frame(
            0,
            &transfer(2, Some(1), false),
            &token("SAS_KEY_VALUE", 1).into_bytes(),
        ),
        frame(0, &settle, b""),
    ];
    for whole in frames {
        for at in (8..whole.len()).step_by(3) {
            for value in [0x00, 0x40, 0xa1, 0xb1, 0xd0, 0xff] {
                let mut raw = connect(&broker).await;
                raw.send(&sender(1, "q/$management")).await;
                raw.send(&sender(2, "$cbs")).await;
                let mut damaged = whole.clone();
                damaged[at] = value;
                raw.say(&damaged).await;
            }
        }
    }
    let mut raw = connect(&broker).await;
    raw.attach(&sender(0, "alive")).await;
    assert!(matches!(
        send(&mut raw, 0, 0).await,
        DeliveryState::Accepted(_)
    ));
}
