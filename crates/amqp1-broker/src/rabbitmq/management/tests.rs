#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::rabbitmq::model::store::{Policy, Store};
use request::map;

const ME: ConnectionId = ConnectionId(1);

fn store() -> Store {
    Store::new(Policy {
        create_on_use: true,
        delivery_limit: None,
    })
}

fn ask(store: &mut Store, verb: &str, path: &str, body: Value) -> Answer {
    answer(store, ME, verb, path, Some(body))
}

fn status(store: &mut Store, verb: &str, path: &str, body: Value) -> u16 {
    ask(store, verb, path, body).status
}

fn field(answer: &Answer, name: &str) -> Value {
    match &answer.body {
        Value::Map(map) => map.get(&Value::from(name)).cloned().unwrap_or_default(),
        other => panic!("not a map: {other:?}"),
    }
}

fn queue_body(arguments: Value) -> Value {
    map([("durable", Value::Bool(true)), ("arguments", arguments)])
}

fn binding(source: &str, queue: &str, key: &str) -> Value {
    map([
        ("source", Value::from(source)),
        ("destination_queue", Value::from(queue)),
        ("binding_key", Value::from(key)),
    ])
}

#[test]
fn a_queue_is_made_found_compared_and_deleted() {
    let mut store = store();
    let quorum = || queue_body(map([("x-queue-type", Value::from("quorum"))]));
    let path = "/queues/a%2Fb";
    assert_eq!(status(&mut store, "GET", path, Value::Null), 404);
    let made = ask(&mut store, "PUT", path, quorum());
    assert_eq!(
        (made.status, field(&made, "name")),
        (201, Value::from("a/b"))
    );
    assert_eq!(status(&mut store, "PUT", path, quorum()), 200);
    let other = queue_body(map([("x-max-length", Value::Int(1))]));
    assert_eq!(status(&mut store, "PUT", path, other), 409);
    let got = ask(&mut store, "GET", path, Value::Null);
    assert_eq!(got.status, 200);
    for name in ["message_count", "delayed_count", "unsettled_count"] {
        assert_eq!(field(&got, name), Value::Ulong(0), "{name}");
    }
    assert_eq!(field(&got, "consumer_count"), Value::Uint(0));
    assert_eq!(status(&mut store, "DELETE", path, Value::Null), 200);
    assert_eq!(
        status(&mut store, "DELETE", path, Value::Null),
        200,
        "also when missing"
    );
    assert!(store.queue("a/b").is_none());
}

#[test]
fn a_declaration_that_is_not_understood_is_a_400() {
    let mut store = store();
    for body in [
        Value::Null,
        Value::from("text"),
        map([("durabel", Value::Bool(true))]),
        map([("durable", Value::Int(1))]),
        queue_body(map([("x-unknown", Value::Int(1))])),
        queue_body(Value::from("text")),
    ] {
        assert_eq!(
            status(&mut store, "PUT", "/queues/q", body.clone()),
            400,
            "{body:?}"
        );
    }
    assert_eq!(
        status(&mut store, "PUT", "/queues/", queue_body(Value::Null)),
        400
    );
    assert_eq!(
        status(&mut store, "PUT", "/queues/a b", queue_body(Value::Null)),
        400
    );
    assert_eq!(
        answer(&mut store, ME, "GET", "/queues/q", None).status,
        400,
        "no body"
    );
}

#[test]
fn unknown_resources_and_verbs_are_said_to_be() {
    let mut store = store();
    for path in [
        "/",
        "/queue/q",
        "/queues",
        "/queues/q/messages/1",
        "/vhosts",
    ] {
        assert_eq!(status(&mut store, "GET", path, Value::Null), 404, "{path}");
    }
    assert_eq!(status(&mut store, "PATCH", "/queues/q", Value::Null), 405);
    assert_eq!(
        status(&mut store, "PUT", "/queues/q/messages", Value::Null),
        405
    );
}

#[test]
fn purging_counts() {
    let mut store = store();
    assert_eq!(
        status(&mut store, "DELETE", "/queues/q/messages", Value::Null),
        404
    );
    status(&mut store, "PUT", "/queues/q", queue_body(Value::Null));
    let route = store
        .attach_publisher(
            ME,
            Some(crate::rabbitmq::model::address::Address::Queue("q".into())),
        )
        .unwrap()
        .1;
    for _ in 0..3 {
        let message = crate::rabbitmq::model::message::tests::annotated("m", &[]);
        store.publish(&route, message, 0);
    }
    let got = ask(&mut store, "GET", "/queues/q", Value::Null);
    assert_eq!(field(&got, "message_count"), Value::Ulong(3));
    let purged = ask(&mut store, "DELETE", "/queues/q/messages", Value::Null);
    assert_eq!(
        (purged.status, field(&purged, "message_count")),
        (200, Value::Ulong(3))
    );
    let got = ask(&mut store, "GET", "/queues/q", Value::Null);
    assert_eq!(field(&got, "message_count"), Value::Ulong(0));
}

#[test]
fn exchanges_are_made_compared_and_deleted() {
    let mut store = store();
    let of = |kind: &str| map([("type", Value::from(kind)), ("durable", Value::Bool(true))]);
    assert_eq!(status(&mut store, "PUT", "/exchanges/x", of("topic")), 204);
    assert_eq!(status(&mut store, "PUT", "/exchanges/x", of("topic")), 204);
    assert_eq!(status(&mut store, "PUT", "/exchanges/x", of("fanout")), 409);
    assert_eq!(
        status(&mut store, "PUT", "/exchanges/y", of("x-random")),
        400
    );
    assert_eq!(
        status(&mut store, "PUT", "/exchanges/amq.mine", of("topic")),
        403
    );
    assert_eq!(
        status(&mut store, "DELETE", "/exchanges/amq.topic", Value::Null),
        403
    );
    assert_eq!(
        status(&mut store, "DELETE", "/exchanges/x", Value::Null),
        204
    );
    assert_eq!(
        status(&mut store, "DELETE", "/exchanges/x", Value::Null),
        204
    );
    assert!(!store.exchanges.contains_key("x"));
}

#[test]
fn bindings_are_made_listed_and_deleted() {
    let mut store = store();
    status(
        &mut store,
        "PUT",
        "/queues/q%20one",
        queue_body(Value::Null),
    );
    let post = |store: &mut Store, body| status(store, "POST", "/bindings", body);
    assert_eq!(post(&mut store, binding("amq.topic", "q one", "a.#")), 204);
    assert_eq!(post(&mut store, binding("amq.topic", "q one", "b")), 204);
    assert_eq!(post(&mut store, binding("amq.topic", "none", "k")), 404);
    assert_eq!(post(&mut store, binding("none", "q one", "k")), 404);
    assert_eq!(post(&mut store, map([("source", Value::from("x"))])), 400);
    let count = |store: &mut Store, query: &str| {
        let path = format!("/bindings?{query}");
        match ask(store, "GET", &path, Value::Null).body {
            Value::List(list) => list.len(),
            other => panic!("not a list: {other:?}"),
        }
    };
    assert_eq!(count(&mut store, "src=amq.topic&dstq=q%20one"), 2);
    assert_eq!(count(&mut store, "src=amq.topic&dstq=q%20one&key=a.%23"), 1);
    assert_eq!(count(&mut store, "src=amq.direct&dstq=q%20one"), 0);
    let path = "/bindings/src=amq.topic;dstq=q%20one;key=b;args=";
    assert_eq!(status(&mut store, "DELETE", path, Value::Null), 204);
    assert_eq!(status(&mut store, "DELETE", path, Value::Null), 204);
    assert_eq!(count(&mut store, "src=amq.topic&dstq=q%20one"), 1);
    assert_eq!(
        status(&mut store, "GET", "/bindings?src=x", Value::Null),
        400
    );
    assert_eq!(
        status(&mut store, "DELETE", "/bindings/nonsense", Value::Null),
        400
    );
}

#[test]
fn an_exclusive_queue_is_forbidden_to_others() {
    let mut store = store();
    let body = || map([("exclusive", Value::Bool(true))]);
    assert_eq!(status(&mut store, "PUT", "/queues/q", body()), 201);
    let other = ConnectionId(2);
    for (verb, body) in [("PUT", body()), ("DELETE", Value::Null)] {
        assert_eq!(
            answer(&mut store, other, verb, "/queues/q", Some(body)).status,
            403
        );
    }
}

#[test]
fn messages_are_shown_and_stay() {
    let mut store = store();
    let path = "/queues/q/messages";
    let ask =
        |store: &mut Store, query: &str| ask(store, "GET", &format!("{path}?{query}"), Value::Null);
    assert_eq!(ask(&mut store, "from=0&count=1").status, 404);
    assert_eq!(
        status(&mut store, "PUT", "/queues/q", queue_body(Value::Null)),
        201
    );
    for wrong in ["", "from=0", "from=x&count=1", "from=-1&count=1"] {
        assert_eq!(ask(&mut store, wrong).status, 400, "{wrong}");
    }
    let empty = ask(&mut store, "from=0&count=1");
    assert_eq!((empty.status, empty.body), (200, Value::List(Vec::new())));
}
