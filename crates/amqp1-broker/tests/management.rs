//! The management node over a link pair, with an independent client.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use amqp1_broker::Broker;
use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp_types::definitions::{AmqpError, Role, SenderSettleMode};
use fe2o3_amqp_types::messaging::message::__private::{Deserializable, Serializable};
use fe2o3_amqp_types::messaging::{AmqpValue, Body, Message, MessageId, Properties};
use serde_amqp::primitives::OrderedMap;
use serde_amqp::Value;
use support::raw::{attach, flow, transfer, Raw};
use support::*;

/// A link pair with raw frames: fe2o3-amqp's client cannot have two links with the same name.
struct Management {
    raw: Raw,
    last_id: u32,
}

fn request(id: MessageId, verb: &str, path: &str, reply_to: &str, body: Value) -> Vec<u8> {
    let properties = Properties::builder()
        .message_id(id)
        .to(path)
        .subject(verb)
        .reply_to(reply_to);
    let request = Message::builder()
        .properties(properties.build())
        .value(body)
        .build();
    serde_amqp::to_vec(&Serializable(request)).unwrap()
}

impl Management {
    async fn attach(broker: &Broker) -> Self {
        let mut raw = Raw::connect(broker, 1000).await;
        for (handle, role) in [(0, Role::Receiver), (1, Role::Sender)] {
            let mut link = attach("pair", handle, role, Some("/management"));
            link.snd_settle_mode = SenderSettleMode::Settled;
            link.properties = Some([("paired".into(), Value::Bool(true))].into_iter().collect());
            raw.attach(&link).await;
        }
        raw.send(&flow(Some(0), 0, 100)).await;
        Self { raw, last_id: 0 }
    }

    /// The answer's status and body. Its correlation-id must be the request's id, with its type.
    async fn ask(&mut self, verb: &str, path: &str, body: Value) -> (String, Value) {
        self.last_id += 1;
        let id = MessageId::Ulong(self.last_id.into());
        let mut sent = transfer(1, Some(self.last_id), false);
        sent.settled = Some(true);
        let payload = request(id.clone(), verb, path, "$me", body);
        self.raw.send_with(&sent, &payload).await;
        let (transfer, payload) = self.raw.transfer().await;
        assert_eq!((transfer.handle.0, transfer.settled), (0, Some(true)));
        let answer: Deserializable<Message<Body<Value>>> =
            serde_amqp::from_slice(&payload).unwrap();
        let properties = answer.0.properties.unwrap();
        assert_eq!(properties.correlation_id, Some(id));
        let body = match answer.0.body {
            Body::Value(AmqpValue(value)) => value,
            other => panic!("not a value: {other:?}"),
        };
        (properties.subject.unwrap(), body)
    }
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let entries = entries.map(|(key, value)| (Value::from(key), value));
    Value::Map(entries.into_iter().collect::<OrderedMap<_, _>>())
}

fn field(body: &Value, name: &str) -> Value {
    match body {
        Value::Map(map) => map.get(&Value::from(name)).cloned().unwrap(),
        other => panic!("not a map: {other:?}"),
    }
}

#[tokio::test]
async fn a_queue_is_declared_used_counted_purged_and_deleted() {
    let broker = broker_with(|o| o.rabbitmq.create_on_use = false);
    let mut client = connect(&broker).await;
    let mut management = Management::attach(&broker).await;
    let declaration = || map([("durable", Value::Bool(true))]);
    let (status, _) = management.ask("PUT", "/queues/orders", declaration()).await;
    assert_eq!(status, "201");
    let mut sender = client.sender("/queues/orders").await;
    for n in 0..4 {
        send(&mut sender, &n.to_string()).await;
    }
    let mut receiver = client.receiver("/queues/orders", 1).await;
    recv(&mut receiver).await;
    let (status, queue) = management.ask("GET", "/queues/orders", Value::Null).await;
    assert_eq!(status, "200");
    assert_eq!(field(&queue, "message_count"), Value::Ulong(3));
    assert_eq!(field(&queue, "unsettled_count"), Value::Ulong(1));
    assert_eq!(field(&queue, "consumer_count"), Value::Uint(1));
    let (status, purged) = management
        .ask("DELETE", "/queues/orders/messages", Value::Null)
        .await;
    assert_eq!(
        (&*status, field(&purged, "message_count")),
        ("200", Value::Ulong(3))
    );
    let (status, error) = management.ask("GET", "/queues/none", Value::Null).await;
    assert_eq!(status, "404");
    assert_eq!(error, Value::from("no queue 'none'"));
    let (status, _) = management
        .ask("DELETE", "/queues/orders", Value::Null)
        .await;
    assert_eq!(status, "200");
    // Both links of the queue are detached; the management links stay.
    let detached = soon("detach", receiver.recv::<Body<Value>>())
        .await
        .unwrap_err();
    assert!(
        format!("{detached:?}").contains("ResourceDeleted"),
        "{detached:?}"
    );
    let detached = soon("detach", sender.on_detach()).await;
    assert!(
        format!("{detached:?}").contains("ResourceDeleted"),
        "{detached:?}"
    );
    let (status, _) = management.ask("GET", "/queues/orders", Value::Null).await;
    assert_eq!(status, "404");
}

#[tokio::test]
async fn messages_are_routed_by_what_was_declared() {
    let broker = broker();
    let mut client = connect(&broker).await;
    let mut management = Management::attach(&broker).await;
    let empty = || map([]);
    for queue in ["eu", "all"] {
        let path = format!("/queues/{queue}");
        assert_eq!(management.ask("PUT", &path, empty()).await.0, "201");
    }
    let topic = map([("type", Value::from("topic"))]);
    assert_eq!(
        management.ask("PUT", "/exchanges/orders", topic).await.0,
        "204"
    );
    for (queue, key) in [("eu", "eu.*"), ("all", "#")] {
        let binding = map([
            ("source", Value::from("orders")),
            ("destination_queue", Value::from(queue)),
            ("binding_key", Value::from(key)),
            ("arguments", map([])),
        ]);
        assert_eq!(management.ask("POST", "/bindings", binding).await.0, "204");
    }
    let mut eu = client.sender("/exchanges/orders/eu.new").await;
    let mut us = client.sender("/exchanges/orders/us.new").await;
    assert!(send(&mut eu, "e").await.is_accepted());
    assert!(send(&mut us, "u").await.is_accepted());
    assert_eq!((ready(&broker, "eu"), ready(&broker, "all")), (1, 2));
    let unbind = "/bindings/src=orders;dstq=all;key=%23;args=";
    assert_eq!(management.ask("DELETE", unbind, Value::Null).await.0, "204");
    assert!(send(&mut us, "nowhere").await.is_released());
    // When an exchange is deleted, its publishers are detached at their next message.
    assert_eq!(
        management
            .ask("DELETE", "/exchanges/orders", Value::Null)
            .await
            .0,
        "204"
    );
    let error = soon("send", us.send(text("x"))).await.unwrap_err();
    assert!(format!("{error:?}").contains("NotFound"), "{error:?}");
}

#[tokio::test]
async fn a_request_that_cannot_be_answered_detaches() {
    let broker = broker();
    for (name, reply_to) in [("alone", "$me"), ("pair", "elsewhere")] {
        let mut management = Management::attach(&broker).await;
        let raw = &mut management.raw;
        raw.attach(&attach(name, 2, Role::Sender, Some("/management")))
            .await;
        let payload = request(1.into(), "GET", "/queues/q", reply_to, Value::Null);
        raw.send_with(&transfer(2, Some(0), false), &payload).await;
        let FrameBody::Detach(detach) = raw.next().await else {
            panic!("no detach");
        };
        let condition = detach.error.unwrap().condition;
        assert_eq!(condition, AmqpError::PreconditionFailed.into());
        assert_eq!(
            management.ask("GET", "/queues/q", Value::Null).await.0,
            "404"
        );
    }
}

#[tokio::test]
async fn answers_wait_for_credit() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 1000).await;
    for (handle, role) in [(0, Role::Receiver), (1, Role::Sender)] {
        raw.attach(&attach("pair", handle, role, Some("/management")))
            .await;
    }
    let payload = request(1.into(), "GET", "/queues/q", "$me", Value::Null);
    raw.send_with(&transfer(1, Some(0), false), &payload).await;
    assert!(matches!(raw.next().await, FrameBody::Disposition(_)));
    assert!(raw.sync(flow(None, 0, 0)).await.is_empty());
    raw.send(&flow(Some(0), 0, 1)).await;
    raw.transfer().await;
}
