//! Time to live, schedules and delays.

use super::*;

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

#[test]
fn what_is_held_for_too_long_goes_to_another_consumer() {
    let mut queue = declared(&[("x-consumer-timeout", Value::Ulong(1000))]);
    put(&mut queue, &["a", "b"]);
    consume(&mut queue, A, 2);
    let held = drive(&mut queue, 0);
    assert_eq!(queue.next_due(), Some(1000));
    assert!(settle(&mut queue, &held[1], Outcome::Accepted).is_none());
    queue.tick(999);
    assert!(queue.take_recalled().is_empty());
    queue.tick(1000);
    assert_eq!(queue.take_recalled(), [(A, held[0].sequence)]);
    assert_eq!(queue.next_due(), None);
    // A gets no messages until it has settled those it held.
    queue.consumers.get_mut(A).unwrap().credit = 5;
    assert!(drive(&mut queue, 1000).is_empty());
    consume(&mut queue, B, 1);
    let again = drive(&mut queue, 1000);
    let header = again[0].header;
    assert_eq!((again[0].link, names(&again)), (B, vec!["a".to_owned()]));
    assert_eq!((header.delivery_count, header.acquired_count), (0, 1));
    assert!(!header.first_acquirer);
    // A's late settlement does not affect B's delivery.
    assert!(queue.resume(A, held[0].sequence));
    settle(&mut queue, &held[0], Outcome::Accepted);
    assert_eq!(queue.counts().unsettled, 1);
    put(&mut queue, &["c"]);
    assert_eq!(names(&drive(&mut queue, 1000)), ["c"]);
}

#[test]
fn a_consumers_own_timeout_goes_before_the_queues() {
    let mut queue = declared(&[("x-consumer-timeout", Value::Ulong(1000))]);
    put(&mut queue, &["a"]);
    consume(&mut queue, A, 1);
    queue.consumers.get_mut(A).unwrap().timeout = Some(5);
    drive(&mut queue, 0);
    assert_eq!(queue.next_due(), Some(5));
    // Messages whose consumer leaves return to the queue without a timeout.
    queue.remove_consumer(A, Loss::Detached, None, 1);
    assert_eq!(queue.next_due(), None);
}
