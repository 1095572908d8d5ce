//! The effect of outcomes and limits on a message.

use super::*;

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
