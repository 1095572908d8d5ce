//! Answers of `$cbs` and `$management` with raw frames: missing entities, deferred messages,
//! sessions, and rules.
#![cfg(feature = "servicebus")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use amqp1_broker::servicebus::settings::{QueueSettings, SubscriptionSettings, TopicSettings};
use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp_types::messaging::Properties;
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor;
use serde_amqp::primitives::{OrderedMap, Timestamp};
use serde_amqp::Value;
use support::raw::{flow, transfer, Raw, MESSAGE};
use support::servicebus::*;

/// .NET's `DateTime.MaxValue` as its AMQP library encodes it.
const MAX_DATE: i64 = 253_402_300_800_000;

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let mut map: OrderedMap<Value, Value> = OrderedMap::new();
    for (key, value) in entries {
        map.insert(Value::from(key), value);
    }
    Value::Map(map)
}

fn get<'a>(value: &'a Value, key: &str) -> &'a Value {
    let Value::Map(map) = value else {
        panic!("no map: {value:?}");
    };
    map.get(&Value::from(key)).unwrap_or(&Value::Null)
}

/// Requests to one entity's management node, on its own connection.
struct Management {
    raw: Raw,
    sent: u32,
}

impl Management {
    async fn of(broker: &amqp1_broker::Broker, entity: &str) -> Self {
        let mut raw = connect(broker).await;
        let node = format!("{entity}/$management");
        raw.attach(&sender(0, &node)).await;
        raw.attach(&receiver(1, &node)).await;
        raw.send(&flow(Some(1), 0, 100)).await;
        Self { raw, sent: 0 }
    }

    /// The answer's status and body.
    async fn ask(&mut self, operation: &str, body: Value) -> (i32, Value) {
        let operation = format!("com.microsoft:{operation}");
        let request = request("nowhere", &[("operation", &operation)], &body);
        let transfer = transfer(0, Some(self.sent), false);
        self.sent += 1;
        self.raw.send_with(&transfer, &request).await;
        disposed(&mut self.raw).await;
        let (_, payload) = self.raw.transfer().await;
        let at = payload.windows(3).position(|w| w == b"\x00\x53\x77");
        let body = serde_amqp::from_slice(&payload[at.unwrap() + 3..]).unwrap();
        (status(&payload, "statusCode"), body)
    }
}

async fn send_in(raw: &mut Raw, id: u32, properties: Properties) {
    let mut message = serde_amqp::to_vec(&properties).unwrap();
    message.extend(MESSAGE);
    raw.send_with(&transfer(0, Some(id), false), &message).await;
    disposed(raw).await;
}

fn session(id: &str) -> Properties {
    Properties {
        group_id: Some(id.into()),
        ..Properties::default()
    }
}

fn subject(subject: &str) -> Properties {
    Properties {
        subject: Some(subject.into()),
        ..Properties::default()
    }
}

fn of_sessions() -> amqp1_broker::Broker {
    with_queue(QueueSettings {
        requires_session: true,
        ..QueueSettings::default()
    })
}

#[tokio::test]
async fn a_token_for_an_entity_that_is_not_there_is_answered_404() {
    let strict = |queue: &str| {
        broker(|s| {
            s.require_token = true;
            s.create_on_use = false;
            s.queues = vec![(queue.to_owned(), QueueSettings::default())];
        })
    };
    let good = || token("SAS_KEY_VALUE", seconds_from_now(60));
    for (queue, answer) in [("q", 202), ("q/below", 202), ("other", 404), ("qq", 404)] {
        let mut raw = connect(&strict(queue)).await;
        assert_eq!(put_token(&mut raw, &good()).await, answer, "{queue}");
        let is_attached = raw.attach(&sender(5, "q")).await.target.is_some();
        assert_eq!(is_attached, queue == "q", "{queue}");
    }
    // Without access, the answer does not reveal whether the entity exists.
    let mut raw = connect(&strict("other")).await;
    let wrong = token("wrong", seconds_from_now(60));
    assert_eq!(put_token(&mut raw, &wrong).await, 401);
}

#[tokio::test]
async fn a_deferred_message_says_its_lock_token_itself() {
    let broker = broker(|_| {});
    let mut raw = connect(&broker).await;
    raw.attach(&sender(0, "q")).await;
    send(&mut raw, 0, 0).await;
    raw.attach(&receiver(1, "q")).await;
    raw.send(&flow(Some(1), 0, 1)).await;
    let (given, payload) = raw.transfer().await;
    assert!(!payload.windows(16).any(|w| w == b"x-opt-lock-token"));
    let id = given.delivery_id.unwrap();
    raw.send(&deferring(id)).await;
    disposed(&mut raw).await;

    let mut management = Management::of(&broker, "q").await;
    let peek = map([
        ("from-sequence-number", Value::Long(1)),
        ("message-count", Value::Int(1)),
    ]);
    let (_, peeked) = management.ask("peek-message", peek).await;
    let (_, message) = only_message(&peeked);
    assert!(
        !message.windows(16).any(|w| w == b"x-opt-lock-token"),
        "what is peeked at is not locked"
    );
    let receive = map([
        ("sequence-numbers", Value::List(vec![Value::Long(1)])),
        ("receiver-settle-mode", Value::Uint(1)),
    ]);
    let (code, received) = management.ask("receive-by-sequence-number", receive).await;
    assert_eq!(code, 200);
    let (entry, message) = only_message(&received);
    let Value::Uuid(token) = get(&entry, "lock-token") else {
        panic!("{entry:?}");
    };
    // Between the header and the message annotations: a map from a symbol to a uuid.
    let at = message.windows(3).position(|w| w == b"\x00\x53\x71");
    let annotations: Value = serde_amqp::from_slice(&message[at.unwrap() + 3..]).unwrap();
    let Value::Map(annotations) = annotations else {
        panic!("{annotations:?}");
    };
    let key = Value::Symbol("x-opt-lock-token".into());
    assert_eq!(annotations.get(&key), Some(&Value::Uuid(token.clone())));
    let complete = map([
        ("disposition-status", "completed".into()),
        ("lock-tokens", Value::List(vec![Value::Uuid(token.clone())])),
    ]);
    assert_eq!(management.ask("update-disposition", complete).await.0, 200);
    assert_eq!(broker.queue_counts("q").unwrap().delayed, 0);
}

/// The only message of an answer: its entry and its bytes.
fn only_message(answer: &Value) -> (Value, Vec<u8>) {
    let Value::List(messages) = get(answer, "messages") else {
        panic!("{answer:?}");
    };
    assert_eq!(messages.len(), 1);
    let Value::Binary(message) = get(&messages[0], "message") else {
        panic!("{messages:?}");
    };
    (messages[0].clone(), message.to_vec())
}

fn deferring(id: u32) -> fe2o3_amqp_types::performatives::Disposition {
    let modified = fe2o3_amqp_types::messaging::Modified {
        delivery_failed: None,
        undeliverable_here: Some(true),
        message_annotations: None,
    };
    fe2o3_amqp_types::performatives::Disposition {
        state: Some(modified.into()),
        ..support::raw::disposition(id, id, false)
    }
}

#[tokio::test]
async fn a_session_is_granted_in_the_form_in_which_it_was_asked_for() {
    let broker = of_sessions();
    let mut raw = connect(&broker).await;
    raw.attach(&sender(0, "q")).await;
    send_in(&mut raw, 0, session("next")).await;
    let described = |value: Value| {
        Value::Described(Box::new(Described {
            descriptor: Descriptor::Code(0x0013_7000_000c),
            value,
        }))
    };
    for (handle, asked, granted) in [
        (1, described("a".into()), described("a".into())),
        (2, described(Value::Null), described("next".into())),
        (3, "b".into(), "b".into()),
    ] {
        let answer = raw.attach(&session_receiver(handle, asked, 1000)).await;
        let filter = answer.source.expect("a session").filter.unwrap();
        assert_eq!(filter.get("com.microsoft:session-filter"), Some(&granted));
    }
}

#[tokio::test]
async fn sessions_are_listed() {
    let broker = of_sessions();
    let mut raw = connect(&broker).await;
    raw.attach(&sender(0, "q")).await;
    let mut management = Management::of(&broker, "q").await;
    let list = |since: i64, skip: i32, top: i32| {
        map([
            (
                "last-updated-time",
                Value::Timestamp(Timestamp::from(since)),
            ),
            ("skip", Value::Int(skip)),
            ("top", Value::Int(top)),
        ])
    };
    let operation = "get-message-sessions";
    let none = management.ask(operation, list(MAX_DATE, 0, 10)).await;
    assert_eq!(none.0, 204);
    for (n, id) in ["c", "a", "b", "a"].into_iter().enumerate() {
        send_in(&mut raw, n as u32, session(id)).await;
    }
    // A session whose messages are locked, and one that has only a state.
    raw.attach(&session_receiver(1, "a".into(), 100)).await;
    raw.send(&flow(Some(1), 0, 5)).await;
    raw.transfer().await;
    raw.transfer().await;
    raw.attach(&session_receiver(2, "state".into(), 100)).await;
    let state = map([
        ("session-id", "state".into()),
        ("session-state", Value::Binary(vec![1].into())),
    ]);
    assert_eq!(management.ask("set-session-state", state).await.0, 200);

    let mut ids = async |since, skip, top| {
        let (code, answer) = management.ask(operation, list(since, skip, top)).await;
        match get_or_null(&answer, "sessions-ids") {
            Value::Array(ids) => ids.0,
            _ => {
                assert_eq!(code, 204);
                Vec::new()
            }
        }
    };
    let texts = |ids: &[&str]| ids.iter().map(|id| Value::from(*id)).collect::<Vec<_>>();
    assert_eq!(ids(MAX_DATE, 0, 10).await, texts(&["a", "b", "c", "state"]));
    assert_eq!(ids(MAX_DATE, 1, 2).await, texts(&["b", "c"]));
    assert_eq!(ids(MAX_DATE, 4, 10).await, []);
    assert_eq!(ids(1000, 0, 10).await, texts(&["state"]), "set since");
    let later = seconds_from_now(60) as i64 * 1000;
    assert_eq!(ids(later, 0, 10).await, []);
    let (refused, _) = Management::of(&support::servicebus::broker(|_| {}), "plain")
        .await
        .ask(operation, list(MAX_DATE, 0, 10))
        .await;
    assert_eq!(refused, 403);
}

fn get_or_null(value: &Value, key: &str) -> Value {
    match value {
        Value::Map(_) => get(value, key).clone(),
        _ => Value::Null,
    }
}

#[tokio::test]
async fn rules_that_are_added_and_removed_decide_what_a_subscription_gets() {
    let subscription = SubscriptionSettings::to_all("s", QueueSettings::default());
    let topic = TopicSettings {
        subscriptions: vec![subscription],
        ..TopicSettings::default()
    };
    let broker = broker(|s| s.topics = vec![("t".into(), topic)]);
    let path = "t/Subscriptions/s";
    let ready = || broker.queue_counts(path).unwrap().ready;
    let mut raw = connect(&broker).await;
    raw.attach(&sender(0, "t")).await;
    let mut management = Management::of(&broker, path).await;
    let named = |name: &str| map([("rule-name", name.into())]);
    let by_sql = |name: &str, sql: &str, action: Option<&str>| {
        let expression = |text: &str| map([("expression", text.into())]);
        let action = action.map_or(Value::Null, expression);
        let description = map([("sql-filter", expression(sql)), ("sql-rule-action", action)]);
        map([
            ("rule-name", name.into()),
            ("rule-description", description),
        ])
    };

    send_in(&mut raw, 0, subject("any")).await;
    assert_eq!(ready(), 1, "the rule that a subscription begins with");
    assert_eq!(
        management.ask("remove-rule", named("$Default")).await.0,
        200
    );
    send_in(&mut raw, 1, subject("any")).await;
    assert_eq!(ready(), 1, "without a rule it gets nothing");
    let page = |skip: i32, top: i32| map([("skip", Value::Int(skip)), ("top", Value::Int(top))]);
    assert_eq!(management.ask("enumerate-rules", page(0, 10)).await.0, 204);

    let red = map([("label", "red".into())]);
    let red = map([
        ("rule-name", "red".into()),
        ("rule-description", map([("correlation-filter", red)])),
    ]);
    assert_eq!(management.ask("add-rule", red.clone()).await.0, 200);
    let blue = by_sql("blue", "sys.Label = 'blue'", Some("SET seen = 'yes'"));
    assert_eq!(management.ask("add-rule", blue).await.0, 200);
    for (n, colour) in ["red", "blue", "green"].into_iter().enumerate() {
        send_in(&mut raw, n as u32 + 2, subject(colour)).await;
    }
    assert_eq!(ready(), 3);

    let (code, answer) = management.ask("enumerate-rules", page(0, 10)).await;
    let Value::List(rules) = get(&answer, "rules") else {
        panic!("{answer:?}");
    };
    assert_eq!((code, rules.len()), (200, 2));
    let (_, one) = management.ask("enumerate-rules", page(1, 1)).await;
    assert_eq!(get(&one, "rules"), &Value::List(vec![rules[1].clone()]));
    let parts = |rule: &Value| {
        let Value::Described(description) = get(rule, "rule-description") else {
            panic!("{rule:?}");
        };
        let code = Descriptor::Code(0x0137_0000_0004);
        assert_eq!(description.descriptor, code);
        let Value::List(parts) = &description.value else {
            panic!("{description:?}");
        };
        let codes = parts.iter().take(2).map(|part| match part {
            Value::Described(part) => match part.descriptor {
                Descriptor::Code(code) => code,
                _ => panic!("{part:?}"),
            },
            _ => panic!("{part:?}"),
        });
        (codes.collect::<Vec<_>>(), parts[2].clone())
    };
    let correlation = vec![0x0013_7000_0009, 0x0137_0000_0005];
    assert_eq!(parts(&rules[0]), (correlation, "red".into()));
    let sql = vec![0x0013_7000_0006, 0x0137_0000_0006];
    assert_eq!(parts(&rules[1]), (sql, "blue".into()));

    for (operation, body, answer) in [
        ("add-rule", red, 409),
        ("add-rule", by_sql("more", "size > 5", None), 501),
        ("add-rule", by_sql("", "1=1", None), 400),
        ("add-rule", named("without a filter"), 400),
        ("remove-rule", named("$Default"), 404),
        ("enumerate-rules", page(-1, 1), 400),
    ] {
        let name = format!("{operation} {body:?}");
        assert_eq!(management.ask(operation, body).await.0, answer, "{name}");
    }
    let mut of_queue = Management::of(&broker, "q").await;
    let refused = of_queue.ask("enumerate-rules", page(0, 1)).await;
    assert_eq!(refused.0, 403, "a queue has no rules");
}

/// Go's SDK attaches to a management node for every address it sends to.
#[tokio::test]
async fn the_node_of_faults_has_a_management_node() {
    let broker = broker(|s| s.create_on_use = false);
    let mut raw = connect(&broker).await;
    let node = "$faults/$management";
    assert!(raw.attach(&sender(0, node)).await.target.is_some());
    assert!(raw.attach(&receiver(1, node)).await.source.is_some());
}

#[tokio::test]
async fn the_open_says_who_this_is_and_that_it_is_not_the_other_dialect() {
    let broker = broker(|_| {});
    let mut raw = Raw::silent(&broker);
    raw.say(support::raw::HEADER).await;
    raw.send(&support::raw::open()).await;
    raw.expect_header().await;
    let FrameBody::Open(open) = raw.next().await else {
        panic!("no open");
    };
    let properties = open.properties.unwrap();
    let text = |key: &str| match properties.get(key) {
        Some(Value::String(text)) => text.clone(),
        other => panic!("{key}: {other:?}"),
    };
    assert_eq!(text("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(text("product"), "amqp1-broker (Service Bus dialect)");
}
