#![allow(clippy::unwrap_used, clippy::expect_used)]

use fe2o3_amqp_types::definitions::AmqpError;
use serde_amqp::Value;

use super::*;
use crate::rabbitmq::model::address::Address;
use crate::rabbitmq::model::arguments::Declaration;
use crate::rabbitmq::model::exchange::Binding;
use crate::rabbitmq::model::message::tests::{annotated, body};
use crate::rabbitmq::model::outcome::Outcome;

fn store() -> Store {
    Store::new(Policy {
        create_on_use: true,
        delivery_limit: None,
    })
}

fn declare(store: &mut Store, name: &str, arguments: &[(&str, Value)]) {
    let arguments = arguments
        .iter()
        .map(|(k, v)| ((*k).to_owned(), v.clone()))
        .collect();
    let declaration = Declaration::new(true, false, false, arguments).unwrap();
    store.create_queue(name, declaration, None);
}

fn publisher(store: &mut Store, connection: ConnectionId, address: &str) -> Route {
    let address = Address::parse(address).unwrap();
    store.attach_publisher(connection, Some(address)).unwrap().1
}

fn publish(store: &mut Store, address: &str, name: &str, now: u64) -> Published {
    let connection = ConnectionId(0);
    let route = publisher(store, connection, address);
    let published = store.publish(&route, annotated(name, &[]), now);
    store.dispatch(now);
    published
}

/// The deliveries of a connection, each reported as sent.
fn deliveries(store: &mut Store, connection: ConnectionId) -> Vec<Delivery> {
    let events = store.take_events(connection);
    let mut all = Vec::new();
    for event in events {
        if let Event::Deliver(delivery) = event {
            store.sent(delivery.link, delivery.sequence);
            all.push(delivery);
        }
    }
    all
}

fn consume(store: &mut Store, connection: ConnectionId, queue: &str, now: u64) -> Delivery {
    let link = store
        .attach_consumer(connection, queue, 0, None, false)
        .unwrap();
    store.set_credit(link, 1);
    store.dispatch(now);
    let mut all = deliveries(store, connection);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn ready(store: &Store, queue: &str) -> u64 {
    store.queue(queue).map_or(0, |q| q.counts().ready)
}

#[test]
fn a_message_wakes_the_connection_it_goes_to_once() {
    let mut store = store();
    let connection = store.connect();
    let link = store
        .attach_consumer(connection, "q", 0, None, false)
        .unwrap();
    store.set_credit(link, 10);
    publish(&mut store, "q", "a", 0);
    publish(&mut store, "q", "b", 0);
    assert_eq!(store.take_woken(), [connection]);
    let names: Vec<_> = deliveries(&mut store, connection)
        .iter()
        .map(|d| body(&d.message))
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn rejected_messages_go_to_the_failed_queue_made_for_them() {
    let mut store = store();
    let connection = store.connect();
    publish(&mut store, "q", "a", 0);
    let delivery = consume(&mut store, connection, "q", 0);
    store.settle(delivery.link, delivery.sequence, Outcome::Rejected(None), 0);
    assert_eq!(ready(&store, "q.failed"), 1);
    let dead = consume(&mut store, connection, "q.failed", 0);
    let source = dead.message.annotation_value("x-opt-deadletter-source");
    assert_eq!(source, Some(Value::from("q")));
    store.settle(dead.link, dead.sequence, Outcome::Rejected(None), 0);
    assert!(store.queue("q.failed.failed").is_none());
}

#[test]
fn expired_messages_are_dropped_without_a_dead_letter_queue() {
    let mut store = store();
    declare(&mut store, "q", &[("x-message-ttl", Value::Int(10))]);
    publish(&mut store, "q", "a", 0);
    assert_eq!(store.next_due(), Some(11));
    store.dispatch(11);
    assert_eq!(ready(&store, "q"), 0);
    assert!(store.queue("q.failed").is_none());
    assert_eq!(store.next_due(), None);
}

#[test]
fn a_delay_queue_hands_over_to_its_target() {
    let mut store = store();
    let arguments = [
        ("x-message-ttl", Value::Int(100)),
        ("x-dead-letter-exchange", Value::from("")),
        ("x-dead-letter-routing-key", Value::from("q")),
    ];
    declare(&mut store, "q.delay", &arguments);
    declare(&mut store, "q", &[]);
    publish(&mut store, "q.delay", "a", 0);
    let due = store.next_due().unwrap();
    store.dispatch(due);
    assert_eq!((ready(&store, "q.delay"), ready(&store, "q")), (0, 1));
    let connection = store.connect();
    let delivery = consume(&mut store, connection, "q", due);
    let reason = delivery.message.annotation_value("x-opt-deadletter-reason");
    assert_eq!(reason, Some(Value::from("expired")));
}

#[test]
fn dead_letters_may_go_through_an_exchange() {
    let mut store = store();
    declare(&mut store, "dead", &[]);
    let (queue, key) = ("dead".to_owned(), "q".to_owned());
    let exchange = store.exchanges.get_mut("amq.direct").unwrap();
    exchange.bindings.insert(Binding { queue, key });
    let arguments = [("x-dead-letter-exchange", Value::from("amq.direct"))];
    declare(&mut store, "q", &arguments);
    publish(&mut store, "q", "a", 0);
    let connection = store.connect();
    let delivery = consume(&mut store, connection, "q", 0);
    store.settle(delivery.link, delivery.sequence, Outcome::Rejected(None), 0);
    assert_eq!(ready(&store, "dead"), 1, "the key is the queue's name");
}

#[test]
fn a_cycle_of_expiry_ends() {
    let mut store = store();
    for (name, other) in [("a", "b"), ("b", "a")] {
        let arguments = [
            ("x-message-ttl", Value::Int(0)),
            ("x-dead-letter-routing-key", Value::from(other)),
        ];
        declare(&mut store, name, &arguments);
    }
    publish(&mut store, "a", "m", 0);
    for now in 1..10 {
        store.dispatch(now);
    }
    assert_eq!(ready(&store, "a") + ready(&store, "b"), 0);
}

#[test]
fn a_full_queue_whose_dead_letters_come_back_to_it_ends() {
    let mut store = store();
    let arguments = [
        ("x-max-length", Value::Int(0)),
        ("x-dead-letter-routing-key", Value::from("a")),
    ];
    declare(&mut store, "a", &arguments);
    assert_eq!(publish(&mut store, "a", "m", 0), Published::Accepted);
    assert_eq!(ready(&store, "a"), 0);
}

#[test]
fn exchanges_route_to_every_queue_or_release() {
    let mut store = store();
    declare(&mut store, "one", &[]);
    declare(&mut store, "two", &[]);
    assert_eq!(
        publish(&mut store, "/exchanges/amq.fanout", "m", 0),
        Published::Released
    );
    for queue in ["one", "two"] {
        let exchange = store.exchanges.get_mut("amq.fanout").unwrap();
        let (queue, key) = (queue.to_owned(), String::new());
        exchange.bindings.insert(Binding { queue, key });
    }
    assert_eq!(
        publish(&mut store, "/exchanges/amq.fanout/k", "m", 0),
        Published::Accepted
    );
    assert_eq!((ready(&store, "one"), ready(&store, "two")), (1, 1));
}

#[test]
fn a_deleted_queue_detaches_its_links_and_loses_its_bindings() {
    let mut store = store();
    let connection = store.connect();
    let consumer = store
        .attach_consumer(connection, "q", 0, None, false)
        .unwrap();
    let address = Address::Queue("q".into());
    let (publisher, route) = store.attach_publisher(connection, Some(address)).unwrap();
    let exchange = store.exchanges.get_mut("amq.fanout").unwrap();
    let (queue, key) = ("q".to_owned(), String::new());
    exchange.bindings.insert(Binding { queue, key });
    assert_eq!(store.delete_queue("q"), Some(0));
    let mut detached: Vec<_> = store
        .take_events(connection)
        .into_iter()
        .map(|event| match event {
            Event::Detach(link, error) => {
                assert_eq!(error.condition, AmqpError::ResourceDeleted.into());
                link
            }
            other => panic!("{other:?}"),
        })
        .collect();
    detached.sort();
    assert_eq!(detached, [consumer, publisher]);
    let published = store.publish(&route, annotated("m", &[]), 0);
    assert_eq!(published, Published::Released);
    assert!(store.exchanges["amq.fanout"].bindings.is_empty());
}

#[test]
fn an_exclusive_queue_is_its_connections_own() {
    let mut store = store();
    let (owner, other) = (store.connect(), store.connect());
    store.create_queue("q", Declaration::on_first_use(), Some(owner));
    let error = store
        .attach_consumer(other, "q", 0, None, false)
        .unwrap_err();
    assert_eq!(error.condition, AmqpError::ResourceLocked.into());
    assert!(store.attach_consumer(owner, "q", 0, None, false).is_ok());
    // As on RabbitMQ, anybody may publish to it.
    let address = Address::Queue("q".to_owned());
    assert!(store.resolve(address).is_ok());
    store.disconnect(owner, 0);
    assert!(store.queue("q").is_none());
}

#[test]
fn an_auto_delete_queue_goes_with_its_last_consumer() {
    let mut store = store();
    let connection = store.connect();
    let declaration = Declaration {
        auto_delete: true,
        ..Declaration::on_first_use()
    };
    store.create_queue("q", declaration, None);
    let a = store
        .attach_consumer(connection, "q", 0, None, false)
        .unwrap();
    let b = store
        .attach_consumer(connection, "q", 0, None, false)
        .unwrap();
    store.detach(a, Loss::Detached, 0);
    assert!(store.queue("q").is_some());
    store.detach(b, Loss::Detached, 0);
    assert!(store.queue("q").is_none());
}

#[test]
fn another_connection_takes_the_timers_over() {
    let mut store = store();
    let (first, second) = (store.connect(), store.connect());
    declare(&mut store, "q", &[("x-message-ttl", Value::Int(10))]);
    publish(&mut store, "q", "a", 0);
    store.take_woken();
    store.disconnect(first, 0);
    assert_eq!(store.take_woken(), [second]);
}

#[test]
fn a_drain_waits_for_deliveries_that_must_be_sent_first() {
    use crate::rabbitmq::model::consumers::MAX_UNSENT;
    let mut store = store();
    let connection = store.connect();
    for _ in 0..=MAX_UNSENT {
        publish(&mut store, "q", "m", 0);
    }
    let link = store
        .attach_consumer(connection, "q", 0, None, false)
        .unwrap();
    store.set_credit(link, MAX_UNSENT + 10);
    store.dispatch(0);
    assert_eq!(store.drain(link), None, "one more message is there");
    deliveries(&mut store, connection);
    store.dispatch(0);
    assert_eq!(store.drain(link), Some(9));
    assert_eq!(store.drain(link), Some(0));
}
