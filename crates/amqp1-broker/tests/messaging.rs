//! Messages sent, received and settled through the broker with an independent client.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::types::definitions::{
    AmqpError, Error, ErrorCondition, Fields, ReceiverSettleMode, SenderSettleMode,
};
use fe2o3_amqp::types::messaging::{
    annotations::OwnedKey, Body, Data, Header, Message, Modified, Outcome, Properties,
};
use fe2o3_amqp::{Receiver, Sender};
use serde_amqp::Value;
use support::*;

#[tokio::test]
async fn what_is_sent_is_received_in_order() {
    let broker = broker();
    let mut client = connect(&broker).await;
    let mut sender = client.sender("/queues/q").await;
    for n in 0..50 {
        assert!(send(&mut sender, &n.to_string()).await.is_accepted());
    }
    assert_eq!(ready(&broker, "q"), 50);
    let mut receiver = client.receiver("/queues/q", 50).await;
    for n in 0..50 {
        let delivery = recv(&mut receiver).await;
        assert_eq!(body(&delivery), n.to_string());
        receiver.accept(&delivery).await.unwrap();
    }
    until("settlement", || counts(&broker, "q").unsettled == 0).await;
    assert_eq!(ready(&broker, "q"), 0);
    receiver.close().await.unwrap();
    sender.close().await.unwrap();
    client.close().await;
    until("disconnect", || broker.connection_count() == 0).await;
}

#[tokio::test]
async fn pipelined_sends_are_all_accepted() {
    let broker = broker();
    let mut client = connect(&broker).await;
    let mut sender = client.sender("q").await;
    let mut outcomes = Vec::new();
    for n in 0..3000 {
        let sent = sender.send_batchable(text(&n.to_string()));
        outcomes.push(soon("send", sent).await.unwrap());
    }
    for outcome in outcomes {
        assert!(soon("outcome", outcome).await.unwrap().is_accepted());
    }
    assert_eq!(ready(&broker, "q"), 3000);
}

#[tokio::test]
async fn released_returns_with_the_same_count() {
    let broker = broker();
    let mut client = connect(&broker).await;
    let mut sender = client.sender("q").await;
    send(&mut sender, "a").await;
    send(&mut sender, "b").await;
    let mut receiver = client.receiver("q", 1).await;
    let first = recv(&mut receiver).await;
    assert!(first.message().header.as_ref().unwrap().first_acquirer);
    receiver.release(&first).await.unwrap();
    receiver.set_credit(1).await.unwrap();
    let again = recv(&mut receiver).await;
    let header = again.message().header.clone().unwrap();
    assert_eq!(body(&again), "a", "its place is in front of b");
    assert_eq!(header.delivery_count, 0);
    assert!(!header.first_acquirer);
}

#[tokio::test]
async fn modified_counts_and_merges_annotations() {
    let broker = broker();
    let mut client = connect(&broker).await;
    let mut sender = client.sender("q").await;
    send(&mut sender, "a").await;
    let mut receiver = client.receiver("q", 1).await;
    let first = recv(&mut receiver).await;
    let mut annotations = Fields::new();
    annotations.insert("x-opt-try".into(), Value::from("one"));
    let modified = Modified {
        delivery_failed: Some(true),
        undeliverable_here: None,
        message_annotations: Some(annotations),
    };
    receiver.modify(&first, modified).await.unwrap();
    receiver.set_credit(1).await.unwrap();
    let again = recv(&mut receiver).await;
    assert_eq!(again.message().header.as_ref().unwrap().delivery_count, 1);
    let annotations = again.message().message_annotations.clone().unwrap();
    assert_eq!(
        annotations.0.get(&OwnedKey::from("x-opt-try")),
        Some(&Value::from("one"))
    );
}

#[tokio::test]
async fn rejected_goes_to_the_failed_queue_with_its_reason() {
    let broker = broker();
    let mut client = connect(&broker).await;
    let mut sender = client.sender("q").await;
    send(&mut sender, "bad").await;
    let mut receiver = client.receiver("q", 1).await;
    let delivery = recv(&mut receiver).await;
    let error = Error::new(AmqpError::InvalidField, "no order".to_owned(), None);
    receiver.reject(&delivery, error).await.unwrap();
    until("burial", || ready(&broker, "q.failed") == 1).await;
    let mut failed = client.receiver("q.failed", 1).await;
    let dead = recv(&mut failed).await;
    assert_eq!(body(&dead), "bad");
    let annotations = dead.message().message_annotations.clone().unwrap().0;
    for (key, value) in [
        ("x-opt-deadletter-source", "q"),
        ("x-opt-deadletter-reason", "amqp:invalid-field"),
        ("x-opt-deadletter-description", "no order"),
    ] {
        assert_eq!(
            annotations.get(&OwnedKey::from(key)),
            Some(&Value::from(value)),
            "{key}"
        );
    }
    // In the failed queue, a rejected message is not dead-lettered again.
    failed.reject(&dead, None).await.unwrap();
    until("drop", || counts(&broker, "q.failed").unsettled == 0).await;
    assert_eq!(broker.queue_names(), ["q", "q.failed"]);
}

#[tokio::test]
async fn credit_is_exact() {
    let broker = broker();
    let mut client = connect(&broker).await;
    let mut sender = client.sender("q").await;
    for n in 0..10 {
        send(&mut sender, &n.to_string()).await;
    }
    let mut receiver = client.receiver("q", 3).await;
    for _ in 0..3 {
        recv(&mut receiver).await;
    }
    silent(&mut receiver).await;
    assert_eq!(
        (ready(&broker, "q"), counts(&broker, "q").unsettled),
        (7, 3)
    );
    receiver.set_credit(2).await.unwrap();
    for _ in 0..2 {
        recv(&mut receiver).await;
    }
    silent(&mut receiver).await;
}

#[tokio::test]
async fn large_messages_pass_both_ways_whole() {
    let broker = broker();
    let mut client = connect(&broker).await;
    let mut sender = client.sender("q").await;
    let large: Vec<u8> = (0..3_000_000u32).map(|i| (i / 7) as u8).collect();
    let message = Message::from(Data(large.clone().into()));
    assert!(soon("send", sender.send(message))
        .await
        .unwrap()
        .is_accepted());
    send(&mut sender, "small").await;
    let mut receiver = client.receiver("q", 2).await;
    let delivery = recv(&mut receiver).await;
    let Body::Data(data) = delivery.body() else {
        panic!("not a data body");
    };
    let got: Vec<u8> = data.iter().flat_map(|d| d.0.iter().copied()).collect();
    assert!(got == large, "the body changed on its way");
    assert_eq!(body(&recv(&mut receiver).await), "small");
}

#[tokio::test]
async fn a_message_over_the_limit_costs_its_link_only() {
    let broker = broker_with(|o| o.rabbitmq.max_message_size = 1000);
    let mut client = connect(&broker).await;
    // The client would refuse to send it if it knew the limit, so the raw attach ignores the limit.
    let mut neighbour = client.sender("q").await;
    assert_eq!(neighbour.max_message_size(), Some(1000));
    let mut raw = raw::Raw::connect(&broker, 100).await;
    use fe2o3_amqp::frames::amqp::FrameBody;
    use fe2o3_amqp_types::definitions::{LinkError, Role};
    raw.attach(&raw::attach("a", 0, Role::Sender, Some("q")))
        .await;
    raw.attach(&raw::attach("b", 1, Role::Sender, Some("q")))
        .await;
    raw.send_with(&raw::transfer(0, Some(0), false), &[0; 1001])
        .await;
    let FrameBody::Detach(detach) = raw.next().await else {
        panic!("no detach");
    };
    let condition = detach.error.unwrap().condition;
    assert!(detach.closed);
    assert_eq!(
        condition,
        ErrorCondition::LinkError(LinkError::MessageSizeExceeded)
    );
    raw.send_with(&raw::transfer(1, Some(1), false), raw::MESSAGE)
        .await;
    let FrameBody::Disposition(disposition) = raw.next().await else {
        panic!("the neighbour link is dead");
    };
    assert!(disposition.state.unwrap().is_accepted());
    assert!(send(&mut neighbour, "x").await.is_accepted());
    assert_eq!(ready(&broker, "q"), 2);
}

#[tokio::test]
async fn pre_settled_both_ways() {
    let broker = broker();
    let mut client = connect(&broker).await;
    let mut sender = Sender::builder()
        .name("s")
        .target("q")
        .sender_settle_mode(SenderSettleMode::Settled)
        .attach(&mut client.session)
        .await
        .unwrap();
    send(&mut sender, "a").await;
    let mut receiver = Receiver::builder()
        .name("r")
        .source("q")
        .sender_settle_mode(SenderSettleMode::Settled)
        .credit_mode(CreditMode::Manual)
        .attach(&mut client.session)
        .await
        .unwrap();
    receiver.set_credit(1).await.unwrap();
    assert_eq!(body(&recv(&mut receiver).await), "a");
    until("removal", || counts(&broker, "q").unsettled == 0).await;
    assert_eq!(ready(&broker, "q"), 0);
}

#[tokio::test]
async fn second_mode_receivers_get_a_settled_answer() {
    let broker = broker();
    let mut client = connect(&broker).await;
    let mut sender = client.sender("q").await;
    send(&mut sender, "a").await;
    let mut receiver = Receiver::builder()
        .name("r")
        .source("q")
        .receiver_settle_mode(ReceiverSettleMode::Second)
        .credit_mode(CreditMode::Manual)
        .attach(&mut client.session)
        .await
        .unwrap();
    receiver.set_credit(1).await.unwrap();
    let delivery = recv(&mut receiver).await;
    soon("accept", receiver.accept(&delivery)).await.unwrap();
    until("settlement", || counts(&broker, "q").unsettled == 0).await;
}

#[tokio::test]
async fn priority_goes_before_age() {
    let broker = broker();
    let mut client = connect(&broker).await;
    let mut sender = client.sender("q").await;
    for (text, priority) in [("low", 1), ("none", 4), ("high", 9)] {
        let mut message = support::text(text);
        message.header = Some(Header::builder().priority(priority).build());
        soon("send", sender.send(message)).await.unwrap();
    }
    let mut receiver = client.receiver("q", 3).await;
    for expected in ["high", "none", "low"] {
        assert_eq!(body(&recv(&mut receiver).await), expected);
    }
}

#[tokio::test]
async fn a_scheduled_message_comes_when_it_is_due() {
    let broker = broker();
    let mut client = connect(&broker).await;
    let mut sender = client.sender("q").await;
    let mut receiver = client.receiver("q", 2).await;
    let mut later = text("later");
    later.message_annotations = Some(
        fe2o3_amqp::types::messaging::MessageAnnotations::builder()
            .insert("x-opt-delivery-delay", 150i64)
            .build(),
    );
    let sent = std::time::Instant::now();
    assert!(soon("send", sender.send(later))
        .await
        .unwrap()
        .is_accepted());
    assert_eq!(counts(&broker, "q").delayed, 1);
    send(&mut sender, "now").await;
    assert_eq!(body(&recv(&mut receiver).await), "now");
    // No frame arrives in the meantime: the broker must wake by itself.
    assert_eq!(body(&recv(&mut receiver).await), "later");
    assert!(sent.elapsed().as_millis() >= 149);
}

#[tokio::test]
async fn a_lost_connection_returns_what_it_held() {
    let broker = broker();
    let mut client = connect(&broker).await;
    let mut sender = client.sender("q").await;
    for n in 0..5 {
        send(&mut sender, &n.to_string()).await;
    }
    let mut raw = raw::Raw::connect(&broker, 100).await;
    use fe2o3_amqp_types::definitions::Role;
    raw.attach(&raw::attach("r", 0, Role::Receiver, Some("q")))
        .await;
    raw.send(&raw::flow(Some(0), 0, 3)).await;
    for _ in 0..3 {
        raw.transfer().await;
    }
    drop(raw);
    until("return", || ready(&broker, "q") == 5).await;
    let mut receiver = client.receiver("q", 5).await;
    for n in 0..5 {
        let delivery = recv(&mut receiver).await;
        assert_eq!(body(&delivery), n.to_string());
        let count = delivery.message().header.as_ref().unwrap().delivery_count;
        assert_eq!(count, u32::from(n < 3), "only what was sent has failed");
    }
}

#[tokio::test]
async fn a_detached_link_returns_what_it_held_uncounted() {
    let broker = broker();
    let mut client = connect(&broker).await;
    let mut sender = client.sender("q").await;
    send(&mut sender, "a").await;
    let mut receiver = client.receiver("q", 1).await;
    recv(&mut receiver).await;
    soon("close", receiver.close()).await.unwrap();
    let mut receiver = client.receiver("/queues/q", 1).await;
    let delivery = recv(&mut receiver).await;
    assert_eq!(
        delivery.message().header.as_ref().unwrap().delivery_count,
        0
    );
}

#[tokio::test]
async fn consumers_take_turns() {
    let broker = broker();
    let mut client = connect(&broker).await;
    let mut a = client.receiver("q", 5).await;
    let mut b = client.receiver("/queues/q", 5).await;
    until("consumers", || counts(&broker, "q").consumers == 2).await;
    let mut sender = client.sender("q").await;
    for n in 0..10 {
        send(&mut sender, &n.to_string()).await;
    }
    for _ in 0..5 {
        recv(&mut a).await;
        recv(&mut b).await;
    }
}

#[tokio::test]
async fn the_anonymous_terminus_goes_by_each_message() {
    let broker = broker_with(|o| o.rabbitmq.create_on_use = false);
    let mut client = connect(&broker).await;
    let target = fe2o3_amqp::types::messaging::Target::default();
    let mut sender = Sender::builder()
        .name("anonymous")
        .target(target)
        .attach(&mut client.session)
        .await
        .unwrap();
    let mut outcome = async |to: Option<&str>| {
        let mut message = text("m");
        message.properties = to.map(|to| Properties::builder().to(to).build());
        soon("send", sender.send(message)).await.unwrap()
    };
    let condition = |outcome: Outcome| match outcome {
        Outcome::Rejected(rejected) => {
            let error = rejected.error.unwrap();
            assert!(error.info.is_some(), "all fields are there");
            error.condition
        }
        other => panic!("not rejected: {other:?}"),
    };
    let precondition = ErrorCondition::AmqpError(AmqpError::PreconditionFailed);
    assert_eq!(condition(outcome(None).await), precondition);
    assert_eq!(
        condition(outcome(Some("/nothing/here")).await),
        precondition
    );
    let missing = condition(outcome(Some("/exchanges/none/k")).await);
    assert_eq!(missing, ErrorCondition::AmqpError(AmqpError::NotFound));
    assert!(outcome(Some("/queues/none")).await.is_released());
    assert!(outcome(Some("/exchanges/amq.direct/k")).await.is_released());
}

#[tokio::test]
async fn the_anonymous_terminus_makes_queues() {
    let broker = broker();
    let mut client = connect(&broker).await;
    let target = fe2o3_amqp::types::messaging::Target::default();
    let mut sender = Sender::builder()
        .name("anonymous")
        .target(target)
        .attach(&mut client.session)
        .await
        .unwrap();
    let mut message = text("m");
    message.properties = Some(Properties::builder().to("/queues/new%20one").build());
    assert!(soon("send", sender.send(message))
        .await
        .unwrap()
        .is_accepted());
    assert_eq!(ready(&broker, "new one"), 1);
}

#[tokio::test]
async fn a_refused_attach_leaves_its_neighbours() {
    let broker = broker_with(|o| o.rabbitmq.create_on_use = false);
    let mut client = connect(&broker).await;
    let mut neighbour = client.sender("/exchanges/amq.fanout").await;
    for (address, condition) in [
        ("/queues/missing", "NotFound"),
        ("/exchanges/missing", "NotFound"),
        ("/queues/a b", "InvalidField"),
        ("/queue/v1", "InvalidField"),
    ] {
        let refused = Sender::attach(&mut client.session, format!("s {address}"), address);
        let error = format!("{:?}", soon("refusal", refused).await.unwrap_err());
        assert!(error.contains(condition), "{address}: {error}");
        // The client answers a refusal twice. The second answer may hit a link that it has since
        // created with the same handle.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        let refused = Receiver::attach(&mut client.session, format!("r {address}"), address);
        let error = format!("{:?}", soon("refusal", refused).await.unwrap_err());
        let is_exchange = address.starts_with("/exchanges");
        let condition = if is_exchange {
            "InvalidField"
        } else {
            condition
        };
        assert!(error.contains(condition), "{address}: {error}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(send(&mut neighbour, "x").await.is_released());
    client.close().await;
}
