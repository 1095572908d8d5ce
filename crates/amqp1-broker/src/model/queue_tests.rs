#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_amqp::primitives::Symbol;
use serde_amqp::Value;

use super::*;
use crate::model::consumers::{Consumer, MAX_UNSENT};
use crate::model::message::tests::{annotated, body};

const A: LinkId = LinkId(1);
const B: LinkId = LinkId(2);

fn queue() -> Queue {
    Queue::new("q".into(), Declaration::on_first_use())
}

fn declared(arguments: &[(&str, Value)]) -> Queue {
    let arguments = arguments
        .iter()
        .map(|(k, v)| ((*k).to_owned(), v.clone()))
        .collect();
    let declaration = Declaration::new(true, false, false, arguments).unwrap();
    Queue::new("q".into(), declaration)
}

fn message(name: &str) -> Message {
    annotated(name, &[])
}

fn put(queue: &mut Queue, names: &[&str]) {
    for name in names {
        queue.enqueue(message(name), 0).unwrap();
    }
}

fn consume(queue: &mut Queue, link: LinkId, credit: u32) {
    consume_as(queue, link, credit, 0, false);
}

fn consume_as(queue: &mut Queue, link: LinkId, credit: u32, priority: i32, pre_settled: bool) {
    let consumer = Consumer {
        credit,
        unsent: 0,
        priority,
        pre_settled,
    };
    queue.consumers.add(link, consumer);
}

/// Gives out what can be given out, and says that it was sent.
fn drive(queue: &mut Queue, now: u64) -> Vec<Assignment> {
    let mut all = Vec::new();
    while let Some(assignment) = queue.assign(now) {
        queue.sent(assignment.link, assignment.sequence);
        all.push(assignment);
    }
    all
}

fn names(assignments: &[Assignment]) -> Vec<String> {
    assignments.iter().map(|a| body(&a.message)).collect()
}

/// Gives one more credit and takes one delivery.
fn one(queue: &mut Queue, link: LinkId, now: u64) -> Assignment {
    queue.consumers.get_mut(link).unwrap().credit = 1;
    let mut got = drive(queue, now);
    assert_eq!(got.len(), 1);
    got.remove(0)
}

fn settle(queue: &mut Queue, delivery: &Assignment, outcome: Outcome) -> Option<Dead> {
    queue.settle(delivery.link, delivery.sequence, outcome, None, 0)
}

fn modified(failed: bool, undeliverable: bool, annotations: &[(&str, Value)]) -> Outcome {
    let map = annotations
        .iter()
        .map(|(k, v)| (Symbol::from(*k), v.clone()));
    Outcome::Modified {
        delivery_failed: failed,
        undeliverable_here: undeliverable,
        annotations: Some(map.collect()),
    }
}

fn at(ms: i64) -> Value {
    Value::Timestamp(ms.into())
}

#[test]
fn messages_come_in_order_and_only_with_credit() {
    let mut queue = queue();
    put(&mut queue, &["a", "b", "c"]);
    assert!(drive(&mut queue, 0).is_empty());
    consume(&mut queue, A, 2);
    assert_eq!(names(&drive(&mut queue, 0)), ["a", "b"]);
    let counts = queue.counts();
    assert_eq!(
        (counts.ready, counts.unsettled, counts.consumers),
        (1, 2, 1)
    );
}

#[test]
fn accepted_removes() {
    let mut queue = queue();
    put(&mut queue, &["a"]);
    consume(&mut queue, A, 1);
    let delivery = one(&mut queue, A, 0);
    assert!(settle(&mut queue, &delivery, Outcome::Accepted).is_none());
    assert_eq!(queue.counts().unsettled + queue.counts().ready, 0);
}

#[test]
fn released_keeps_count_and_place() {
    let mut queue = queue();
    put(&mut queue, &["a", "b", "c"]);
    consume(&mut queue, A, 2);
    let got = drive(&mut queue, 0);
    settle(&mut queue, &got[1], Outcome::Released);
    settle(&mut queue, &got[0], Outcome::Released);
    queue.consumers.get_mut(A).unwrap().credit = 3;
    let again = drive(&mut queue, 0);
    assert_eq!(names(&again), ["a", "b", "c"]);
    assert_eq!(again[0].header.delivery_count, 0);
}

#[test]
fn only_the_first_link_is_the_first_acquirer() {
    let mut queue = queue();
    put(&mut queue, &["a"]);
    consume(&mut queue, A, 1);
    let delivery = one(&mut queue, A, 0);
    assert!(delivery.header.first_acquirer);
    settle(&mut queue, &delivery, Outcome::Released);
    assert!(!one(&mut queue, A, 0).header.first_acquirer);
}

#[test]
fn modified_failed_counts_and_keeps_annotations() {
    let mut queue = queue();
    put(&mut queue, &["a"]);
    consume(&mut queue, A, 1);
    let delivery = one(&mut queue, A, 0);
    settle(
        &mut queue,
        &delivery,
        modified(true, false, &[("x-opt-n", Value::Int(1))]),
    );
    let again = one(&mut queue, A, 0);
    assert_eq!(again.header.delivery_count, 1);
    assert_eq!(
        again.message.annotation_value("x-opt-n"),
        Some(Value::Int(1))
    );
    settle(&mut queue, &again, modified(false, false, &[]));
    let again = one(&mut queue, A, 0);
    assert_eq!(again.header.delivery_count, 1, "not failed, not counted");
    assert_eq!(
        again.message.annotation_value("x-opt-n"),
        Some(Value::Int(1))
    );
}

#[test]
fn rejected_and_undeliverable_are_given_up() {
    let mut queue = queue();
    put(&mut queue, &["a", "b"]);
    consume(&mut queue, A, 2);
    let got = drive(&mut queue, 0);
    let dead = settle(&mut queue, &got[0], Outcome::Rejected(None)).unwrap();
    assert_eq!(
        (body(&dead.message), dead.cause),
        ("a".into(), Cause::Rejected(None))
    );
    let outcome = modified(false, true, &[("x-opt-n", Value::Int(1))]);
    let dead = settle(&mut queue, &got[1], outcome).unwrap();
    assert_eq!(
        dead.message.annotation_value("x-opt-n"),
        Some(Value::Int(1))
    );
    assert_eq!(queue.counts().ready + queue.counts().unsettled, 0);
}

#[test]
fn a_delivery_can_be_settled_once_and_by_its_holder_only() {
    let mut queue = queue();
    put(&mut queue, &["a"]);
    consume(&mut queue, A, 1);
    let delivery = one(&mut queue, A, 0);
    queue.settle(B, delivery.sequence, Outcome::Accepted, None, 0);
    assert_eq!(queue.counts().unsettled, 1);
    settle(&mut queue, &delivery, Outcome::Released);
    settle(&mut queue, &delivery, Outcome::Accepted);
    assert_eq!(queue.counts().ready, 1);
}

#[test]
fn a_lost_connection_counts_what_was_sent() {
    let mut queue = queue();
    put(&mut queue, &["a", "b", "c"]);
    consume(&mut queue, A, 2);
    let first = queue.assign(0).unwrap();
    queue.sent(A, first.sequence);
    queue.assign(0).unwrap();
    assert!(queue
        .remove_consumer(A, Loss::Connection, None, 0)
        .is_empty());
    consume(&mut queue, B, 3);
    let got = drive(&mut queue, 0);
    assert_eq!(names(&got), ["a", "b", "c"]);
    assert_eq!(got[0].header.delivery_count, 1);
    assert!(!got[0].header.first_acquirer);
    assert_eq!(got[1].header.delivery_count, 0, "never sent");
    assert!(got[1].header.first_acquirer);
}

#[test]
fn a_detached_link_counts_nothing() {
    let mut queue = queue();
    put(&mut queue, &["a"]);
    consume(&mut queue, A, 1);
    drive(&mut queue, 0);
    queue.remove_consumer(A, Loss::Detached, None, 0);
    consume(&mut queue, B, 1);
    assert_eq!(drive(&mut queue, 0)[0].header.delivery_count, 0);
}

#[test]
fn higher_priorities_go_first_and_age_decides_within() {
    let mut queue = queue();
    for (name, priority) in [("a", 4), ("b", 0), ("c", 255), ("d", 4)] {
        let mut message = message(name);
        message.priority = priority;
        queue.enqueue(message, 0).unwrap();
    }
    consume(&mut queue, A, 4);
    assert_eq!(names(&drive(&mut queue, 0)), ["c", "a", "d", "b"]);
}

#[test]
fn expired_messages_are_given_up_and_the_rest_stays() {
    let mut queue = queue();
    put(&mut queue, &["stays"]);
    let mut short = message("short");
    short.ttl = Some(100);
    queue.enqueue(short, 1000).unwrap();
    let mut absolute = message("absolute");
    absolute.absolute_expiry = Some(1050);
    queue.enqueue(absolute, 1000).unwrap();
    assert_eq!(queue.next_due(), Some(1051));
    assert!(queue.tick(1050).is_empty());
    let dead = queue.tick(1051);
    assert_eq!(body(&dead[0].message), "absolute");
    assert_eq!(dead[0].cause, Cause::Expired);
    assert_eq!(queue.tick(1101).len(), 1);
    assert_eq!(queue.counts().ready, 1);
    assert_eq!(queue.next_due(), None);
}

#[test]
fn the_header_says_the_time_that_is_left() {
    let mut queue = queue();
    let mut message = message("a");
    message.ttl = Some(100);
    queue.enqueue(message, 1000).unwrap();
    consume(&mut queue, A, 1);
    assert_eq!(one(&mut queue, A, 1030).header.ttl, Some(70));
}

#[test]
fn the_queues_own_time_to_live_holds_for_all() {
    let mut queue = declared(&[("x-message-ttl", Value::Int(100))]);
    queue.enqueue(message("a"), 0).unwrap();
    let mut long = message("b");
    long.ttl = Some(5000);
    queue.enqueue(long, 0).unwrap();
    assert_eq!(queue.tick(101).len(), 2);
}

#[test]
fn an_acquired_message_does_not_expire() {
    let mut queue = queue();
    let mut message = message("a");
    message.ttl = Some(100);
    queue.enqueue(message, 0).unwrap();
    consume(&mut queue, A, 1);
    let delivery = one(&mut queue, A, 0);
    assert!(queue.tick(500).is_empty());
    settle(&mut queue, &delivery, Outcome::Released);
    assert_eq!(queue.tick(500).len(), 1, "once it is back it does");
}

#[test]
fn scheduled_messages_arrive_when_they_are_due() {
    let mut queue = queue();
    let scheduled = annotated("late", &[("x-opt-scheduled-enqueue-time", at(500))]);
    queue.enqueue(scheduled, 0).unwrap();
    queue
        .enqueue(
            annotated("mid", &[("x-opt-delivery-delay", Value::Long(300))]),
            0,
        )
        .unwrap();
    put(&mut queue, &["now"]);
    let counts = queue.counts();
    assert_eq!((counts.delayed, counts.ready), (2, 1));
    assert_eq!(queue.next_due(), Some(300));
    queue.tick(299);
    assert_eq!(queue.counts().delayed, 2);
    put(&mut queue, &["later"]);
    queue.tick(500);
    consume(&mut queue, A, 4);
    assert_eq!(
        names(&drive(&mut queue, 500)),
        ["now", "later", "mid", "late"]
    );
}

#[test]
fn a_scheduled_message_lives_from_when_it_is_due() {
    let mut queue = queue();
    let mut scheduled = annotated("a", &[("x-opt-delivery-time", Value::Long(1000))]);
    scheduled.ttl = Some(100);
    queue.enqueue(scheduled, 0).unwrap();
    assert!(queue.tick(1000).is_empty());
    assert!(queue.tick(1100).is_empty());
    assert_eq!(queue.tick(1101).len(), 1);
}

#[test]
fn modified_can_put_the_redelivery_off() {
    let mut queue = queue();
    put(&mut queue, &["a", "b"]);
    consume(&mut queue, A, 1);
    let delivery = one(&mut queue, A, 0);
    let later = modified(true, false, &[("x-opt-delivery-time", Value::Ulong(700))]);
    settle(&mut queue, &delivery, later);
    assert_eq!((queue.counts().delayed, queue.next_due()), (1, Some(700)));
    queue.tick(700);
    queue.consumers.get_mut(A).unwrap().credit = 2;
    let again = drive(&mut queue, 700);
    assert_eq!(names(&again), ["a", "b"], "its old place");
    assert_eq!(again[0].header.delivery_count, 1);
}

#[test]
fn delayed_retry_puts_failed_messages_off() {
    let mut queue = declared(&[
        ("x-delayed-retry-type", Value::from("failed")),
        ("x-delayed-retry-min", Value::Int(100)),
    ]);
    put(&mut queue, &["a"]);
    consume(&mut queue, A, 1);
    let delivery = one(&mut queue, A, 0);
    settle(&mut queue, &delivery, Outcome::Released);
    assert_eq!(queue.counts().ready, 1);
    let delivery = one(&mut queue, A, 0);
    settle(&mut queue, &delivery, modified(true, false, &[]));
    assert_eq!(queue.next_due(), Some(100));
}

#[test]
fn the_delivery_limit_gives_up() {
    let mut queue = declared(&[("x-delivery-limit", Value::Int(1))]);
    put(&mut queue, &["a"]);
    consume(&mut queue, A, 1);
    let delivery = one(&mut queue, A, 0);
    assert!(settle(&mut queue, &delivery, modified(true, false, &[])).is_none());
    let delivery = one(&mut queue, A, 0);
    assert!(
        settle(&mut queue, &delivery, Outcome::Released).is_none(),
        "not counted"
    );
    let delivery = one(&mut queue, A, 0);
    let dead = settle(&mut queue, &delivery, modified(true, false, &[])).unwrap();
    assert_eq!(dead.cause, Cause::DeliveryLimit);
}

#[test]
fn the_brokers_limit_holds_unless_the_queue_says_otherwise() {
    for (arguments, given_up) in [
        (&[][..], true),
        (&[("x-delivery-limit", Value::Int(-1))], false),
    ] {
        let mut queue = declared(arguments);
        put(&mut queue, &["a"]);
        consume(&mut queue, A, 1);
        let d = one(&mut queue, A, 0);
        let dead = queue.settle(d.link, d.sequence, modified(true, false, &[]), Some(0), 0);
        assert_eq!(dead.is_some(), given_up);
    }
}

#[test]
fn a_full_queue_rejects_when_told_to() {
    let mut queue = declared(&[
        ("x-max-length", Value::Int(1)),
        ("x-overflow", Value::from("reject-publish")),
    ]);
    put(&mut queue, &["a"]);
    let error = queue.enqueue(message("b"), 0).unwrap_err();
    assert_eq!(error.condition, AmqpError::ResourceLimitExceeded.into());
    consume(&mut queue, A, 1);
    drive(&mut queue, 0);
    put(&mut queue, &["b"]);
}

#[test]
fn a_full_queue_drops_its_oldest_otherwise() {
    let mut queue = declared(&[("x-max-length-bytes", Value::Int(20))]);
    let mut dead = Vec::new();
    for name in ["aaaaa", "bbbbb", "ccccc"] {
        dead.extend(queue.enqueue(message(name), 0).unwrap());
    }
    assert_eq!(dead.len(), 1);
    assert_eq!(
        (body(&dead[0].message), &dead[0].cause),
        ("aaaaa".into(), &Cause::MaxLength)
    );
}

#[test]
fn consumers_take_turns() {
    let mut queue = queue();
    put(&mut queue, &["a", "b", "c", "d", "e"]);
    consume(&mut queue, A, 5);
    consume(&mut queue, B, 2);
    let links: Vec<_> = drive(&mut queue, 0).iter().map(|a| a.link).collect();
    assert_eq!(links, [A, B, A, B, A]);
}

#[test]
fn higher_consumer_priority_goes_first_while_it_has_credit() {
    let mut queue = queue();
    put(&mut queue, &["a", "b", "c"]);
    consume_as(&mut queue, A, 5, 0, false);
    consume_as(&mut queue, B, 2, 10, false);
    let links: Vec<_> = drive(&mut queue, 0).iter().map(|a| a.link).collect();
    assert_eq!(links, [B, B, A]);
}

#[test]
fn pre_settled_deliveries_are_done_with_once_sent() {
    let mut queue = queue();
    put(&mut queue, &["a"]);
    consume_as(&mut queue, A, 1, 0, true);
    let delivery = queue.assign(0).unwrap();
    assert!(delivery.pre_settled);
    assert_eq!(queue.counts().unsettled, 1, "kept until it is sent");
    queue.sent(A, delivery.sequence);
    assert_eq!(queue.counts().unsettled, 0);
}

#[test]
fn a_stuck_connection_does_not_hold_everything() {
    let mut queue = queue();
    for _ in 0..MAX_UNSENT + 10 {
        queue.enqueue(message("m"), 0).unwrap();
    }
    consume(&mut queue, A, u32::MAX);
    let mut first = None;
    while let Some(assignment) = queue.assign(0) {
        first.get_or_insert(assignment.sequence);
    }
    assert_eq!(queue.counts().ready, 10);
    consume(&mut queue, B, 9);
    assert_eq!(drive(&mut queue, 0).len(), 9, "the others go on");
    queue.sent(A, first.unwrap());
    assert!(queue.assign(0).is_some());
}

#[test]
fn an_unassigned_delivery_was_never_given_out() {
    let mut queue = queue();
    put(&mut queue, &["a", "b"]);
    consume(&mut queue, A, 1);
    let delivery = queue.assign(0).unwrap();
    queue.unassign(A, delivery.sequence);
    let again = one(&mut queue, A, 0);
    assert_eq!(body(&again.message), "a");
    assert!(again.header.first_acquirer);
    assert_eq!(queue.consumers.get_mut(A).unwrap().unsent, 0);
}

#[test]
fn purge_leaves_what_is_held_and_what_is_put_off() {
    let mut queue = queue();
    let mut mortal = message("b");
    mortal.ttl = Some(10);
    put(&mut queue, &["a"]);
    consume(&mut queue, A, 1);
    drive(&mut queue, 0);
    queue.enqueue(mortal, 0).unwrap();
    queue
        .enqueue(annotated("c", &[("x-opt-delivery-time", at(50))]), 0)
        .unwrap();
    assert_eq!(queue.purge(), 1);
    let counts = queue.counts();
    assert_eq!((counts.ready, counts.unsettled, counts.delayed), (0, 1, 1));
    assert!(queue.tick(20).is_empty());
}
