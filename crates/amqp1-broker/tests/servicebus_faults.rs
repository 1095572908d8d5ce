//! Injected faults of the Service Bus dialect, each at its own point.
#![cfg(feature = "servicebus")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::{Duration, Instant};

use amqp1_broker::Broker;
use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp_types::messaging::DeliveryState;
use serde_amqp::Value;
use support::raw::{disposition, flow, transfer, Raw, MESSAGE};
use support::servicebus::*;

/// A connection with a sender on handle 0, a receiver on 1, and one received message.
async fn with_message(broker: &Broker) -> (Raw, u32) {
    let mut raw = connect(broker).await;
    raw.attach(&sender(0, "q")).await;
    send(&mut raw, 0, 0).await;
    raw.attach(&receiver(1, "q")).await;
    raw.send(&flow(Some(1), 0, 1)).await;
    let (given, _) = raw.transfer().await;
    (raw, given.delivery_id.unwrap())
}

/// The condition with which a settlement is refused.
async fn refusal(raw: &mut Raw) -> String {
    match disposed(raw).await.state {
        Some(DeliveryState::Rejected(rejected)) => condition(&rejected.error.unwrap()),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn faults_happen_in_process_too() {
    let broker = broker(|_| {});
    let mut raw = connect(&broker).await;
    raw.attach(&sender(0, "q")).await;
    broker
        .inject("busy entity=q times=1\ndrop entity=q op=sent times=1")
        .unwrap();
    let DeliveryState::Rejected(busy) = send(&mut raw, 0, 0).await else {
        panic!("not busy");
    };
    assert_eq!(condition(&busy.error.unwrap()), "com.microsoft:server-busy");
    // Stored, but never confirmed.
    raw.send_with(&transfer(0, Some(1), false), MESSAGE).await;
    assert!(raw.sync(flow(None, 0, 0)).await.is_empty());
    assert_eq!(
        (
            broker.queue_counts("q").unwrap().ready,
            broker.pending_faults()
        ),
        (1, 0)
    );
    broker
        .inject("detach entity=q op=now condition=amqp:internal-error")
        .unwrap();
    assert_eq!(condition(&detached(&mut raw).await), "amqp:internal-error");
    broker.inject("close op=now").unwrap();
    assert_eq!(condition(&closed(&mut raw).await), "amqp:connection:forced");
    assert!(broker.inject("nonsense").unwrap_err().contains("nonsense"));

    let mut raw = connect(&broker).await;
    raw.attach(&sender(0, "q")).await;
    broker.inject("reset op=now").unwrap();
    assert!(raw.next_or_end().await.is_none());
}

#[tokio::test]
async fn a_cut_ends_the_stream_within_a_frame() {
    let broker = broker(|_| {});
    let mut raw = connect(&broker).await;
    raw.attach(&sender(0, "q")).await;
    send(&mut raw, 0, 0).await;
    broker.inject("cut entity=q").unwrap();
    raw.attach(&receiver(1, "q")).await;
    raw.send(&flow(Some(1), 0, 1)).await;
    assert!(raw.next_or_end().await.is_none(), "half a frame is none");
    let counts = broker.queue_counts("q").unwrap();
    assert_eq!(
        (counts.unsettled, counts.ready),
        (1, 0),
        "it is locked still"
    );
    broker.inject("lose-lock entity=q op=now").unwrap();
    assert_eq!(broker.queue_counts("q").unwrap().ready, 1);
}

#[tokio::test]
async fn an_attach_is_refused_or_gets_no_credit() {
    let broker = broker(|_| {});
    let mut raw = connect(&broker).await;
    broker.inject("busy entity=q op=attach").unwrap();
    assert!(raw.attach(&sender(0, "q")).await.target.is_none());
    assert_eq!(
        condition(&detached(&mut raw).await),
        "com.microsoft:server-busy"
    );
    broker.inject("withhold-credit ms=300").unwrap();
    let begun = Instant::now();
    raw.send(&sender(1, "q")).await;
    assert!(matches!(raw.next().await, FrameBody::Attach(_)));
    for expected in [0, 1000] {
        match raw.next().await {
            FrameBody::Flow(flow) => assert_eq!(flow.link_credit, Some(expected)),
            other => panic!("no flow: {other:?}"),
        }
    }
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_settlement_fails_comes_too_late_or_is_not_confirmed() {
    let broker = broker(|_| {});
    let (mut raw, id) = with_message(&broker).await;
    broker.inject("busy op=settle").unwrap();
    raw.send(&disposition(id, id, false)).await;
    assert_eq!(refusal(&mut raw).await, "com.microsoft:server-busy");
    assert_eq!(
        broker.queue_counts("q").unwrap().unsettled,
        1,
        "locked still"
    );

    broker.inject("lose-lock entity=q op=now").unwrap();
    raw.send(&flow(Some(1), 1, 1)).await;
    let (given, payload) = raw.transfer().await;
    assert_eq!(delivery_count(&payload), 1);
    broker.inject("lose-lock").unwrap();
    let id = given.delivery_id.unwrap();
    raw.send(&disposition(id, id, false)).await;
    assert_eq!(refusal(&mut raw).await, "com.microsoft:message-lock-lost");

    raw.send(&flow(Some(1), 2, 1)).await;
    let id = raw.transfer().await.0.delivery_id.unwrap();
    broker.inject("drop op=settled").unwrap();
    raw.send(&disposition(id, id, false)).await;
    assert!(raw.sync(flow(None, 0, 0)).await.is_empty());
    let counts = broker.queue_counts("q").unwrap();
    assert_eq!(
        (counts.ready, counts.unsettled),
        (0, 0),
        "settled all the same"
    );
}

#[tokio::test]
async fn a_lock_is_lost_as_the_message_is_received() {
    let broker = broker(|_| {});
    broker.inject("lose-lock op=receive").unwrap();
    let (mut raw, id) = with_message(&broker).await;
    raw.send(&disposition(id, id, false)).await;
    assert_eq!(refusal(&mut raw).await, "com.microsoft:message-lock-lost");
    assert_eq!(broker.queue_counts("q").unwrap().ready, 1);
}

#[tokio::test]
async fn requests_fail_are_late_misrouted_or_not_answered() {
    let broker = broker(|_| {});
    let mut raw = connect(&broker).await;
    raw.attach(&sender(0, "q/$management")).await;
    raw.attach(&receiver(1, "q/$management")).await;
    raw.send(&flow(Some(1), 0, 10)).await;
    let pairs = [("operation", "com.microsoft:peek-message")];
    let request = request("me", &pairs, &Value::Null);
    let mut ids = 0..;
    let mut ask = async |raw: &mut Raw| {
        let id = ids.next();
        raw.send_with(&transfer(0, id, false), &request).await;
        disposed(raw).await;
    };
    broker.inject("busy entity=q op=peek-message").unwrap();
    ask(&mut raw).await;
    assert_eq!(status(&raw.transfer().await.1, "statusCode"), 503);

    broker.inject("drop op=request").unwrap();
    ask(&mut raw).await;
    assert!(raw.sync(flow(None, 0, 0)).await.is_empty());

    broker.inject("delay ms=300").unwrap();
    let begun = Instant::now();
    ask(&mut raw).await;
    assert_eq!(status(&raw.transfer().await.1, "statusCode"), 400);
    assert!(begun.elapsed() >= Duration::from_millis(300));

    broker.inject("misroute").unwrap();
    ask(&mut raw).await;
    let (_, payload) = raw.transfer().await;
    assert!(payload.windows(9).any(|w| w == b"another's"));
}

#[tokio::test]
async fn a_token_expires_in_the_middle_of_it() {
    let broker = broker(|s| s.require_token = true);
    let mut raw = connect(&broker).await;
    let good = token("SAS_KEY_VALUE", seconds_from_now(60));
    assert_eq!(put_token(&mut raw, &good).await, 202);
    raw.attach(&sender(5, "q")).await;
    broker.inject("expire-token entity=q").unwrap();
    raw.send_with(&transfer(5, Some(1), false), MESSAGE).await;
    assert_eq!(
        condition(&detached(&mut raw).await),
        "amqp:unauthorized-access"
    );
    assert!(raw.attach(&sender(6, "q")).await.target.is_none());
    assert_eq!(broker.queue_counts("q").unwrap().ready, 0);
}

#[tokio::test]
async fn a_fault_is_asked_for_over_the_broker_itself() {
    let broker = broker(|s| s.require_token = true);
    let mut raw = connect(&broker).await;
    raw.attach(&sender(0, "$faults")).await;
    let text = |text: &str| {
        let value = fe2o3_amqp_types::messaging::AmqpValue(text.to_owned());
        serde_amqp::to_vec(&value).unwrap()
    };
    raw.send_with(
        &transfer(0, Some(0), false),
        &text("busy times=2\ndelay ms=1"),
    )
    .await;
    assert!(matches!(
        disposed(&mut raw).await.state,
        Some(DeliveryState::Accepted(_))
    ));
    assert_eq!(broker.pending_faults(), 2);
    raw.send_with(&transfer(0, Some(1), false), &text("busy tims=2"))
        .await;
    assert_eq!(refusal(&mut raw).await, "amqp:invalid-field");
    raw.send_with(&transfer(0, Some(2), false), &text("clear"))
        .await;
    disposed(&mut raw).await;
    assert_eq!(broker.pending_faults(), 0);
}
