//! Which consumer is next, and what happens to its unsettled messages.

use super::*;

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
