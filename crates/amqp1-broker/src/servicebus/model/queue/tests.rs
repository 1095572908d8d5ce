//! The rules of a queue, without I/O and without a clock.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use super::*;
use crate::servicebus::model::message::tests::{body, message, session_message};

const LINK: LinkId = LinkId(1);
const OTHER: LinkId = LinkId(2);
const SECOND: u64 = 1000;

fn queue(change: impl FnOnce(&mut QueueSettings)) -> Queue {
    let mut settings = QueueSettings {
        lock_duration: Duration::from_secs(10),
        max_delivery_count: 3,
        ..QueueSettings::default()
    };
    change(&mut settings);
    Queue::new(settings, false)
}

fn consume(queue: &mut Queue, link: LinkId, credit: u32, session: Option<&str>) {
    queue.consumers.push_back(Consumer {
        link,
        credit,
        deletes: false,
        session: session.map(str::to_owned),
    });
}

fn plain() -> Queue {
    let mut queue = queue(|_| {});
    consume(&mut queue, LINK, 100, None);
    queue
}

fn next(queue: &mut Queue, now: u64) -> Assignment {
    queue.assign(now).expect("a message")
}

fn count(queue: &mut Queue, now: u64) -> u32 {
    let given = next(queue, now);
    let count = given.stamp.delivery_count;
    queue.abandon(given.token, Vec::new()).unwrap();
    count
}

fn dead(queue: &mut Queue) -> Vec<(Entry, i64)> {
    let effects = queue.take_effects();
    let dead = effects.into_iter().filter_map(|effect| match effect {
        Effect::Dead(entry, sequence) => Some((*entry, sequence)),
        _ => None,
    });
    dead.collect()
}

#[test]
fn a_lock_expires_and_the_delivery_counts() {
    let mut queue = plain();
    queue.enqueue(message("a"), None, 0);
    let first = next(&mut queue, 0);
    assert_eq!(first.stamp.delivery_count, 0);
    assert_eq!(queue.due(), Some(10 * SECOND));
    queue.tick(10 * SECOND - 1);
    assert!(queue.assign(10 * SECOND - 1).is_none());
    queue.tick(10 * SECOND);
    let second = next(&mut queue, 10 * SECOND);
    assert_eq!(second.stamp.delivery_count, 1);
    assert_eq!(queue.complete(first.token), Err(Lost), "the lock was lost");
    assert_eq!(queue.complete(second.token), Ok(()));
    assert_eq!(queue.counts(), Counts::default());
}

#[test]
fn a_renewed_lock_holds_longer() {
    let mut queue = plain();
    queue.enqueue(message("a"), None, 0);
    let given = next(&mut queue, 0);
    assert_eq!(queue.renew(given.token, 9 * SECOND), Ok(19 * SECOND));
    queue.tick(10 * SECOND);
    assert_eq!(queue.complete(given.token), Ok(()));
    assert_eq!(queue.renew(given.token, 0), Err(Lost));
}

#[test]
fn at_the_maximum_a_message_is_dead() {
    let mut queue = plain();
    queue.enqueue(message("a"), None, 0);
    assert_eq!(
        (
            count(&mut queue, 0),
            count(&mut queue, 0),
            count(&mut queue, 0)
        ),
        (0, 1, 2)
    );
    assert!(queue.assign(0).is_none());
    let dead = dead(&mut queue);
    assert_eq!((dead[0].1, dead[0].0.delivery_count), (1, 3));
    let reason = dead[0].0.message.application();
    assert!(reason.contains(&(
        dead_letter::REASON.to_owned(),
        "MaxDeliveryCountExceeded".into()
    )));
}

#[test]
fn dead_letters_are_not_given_up() {
    let mut queue = Queue::new(
        QueueSettings {
            max_delivery_count: 1,
            ..QueueSettings::default()
        },
        true,
    );
    consume(&mut queue, LINK, 10, None);
    let mut origin = plain();
    origin.enqueue(message("a"), None, 0);
    let given = next(&mut origin, 0);
    origin.dead_letter(given.token, Vec::new()).unwrap();
    let (entry, sequence) = dead(&mut origin).remove(0);
    queue.bury(entry, sequence);
    count(&mut queue, 0);
    assert_eq!(count(&mut queue, 0), 1);
    assert!(dead(&mut queue).is_empty());
}

#[test]
fn a_deferred_message_is_had_by_its_number_only() {
    let mut queue = plain();
    let sequence = queue.enqueue(message("a"), None, 0);
    let given = next(&mut queue, 0);
    queue.defer(given.token, Vec::new()).unwrap();
    assert!(queue.assign(0).is_none());
    assert_eq!(
        queue.receive_deferred(&[sequence, 7], false, None, 0),
        Err(7)
    );
    let got = queue.receive_deferred(&[sequence], false, None, 0).unwrap();
    // Its lock expires like any other, but it stays deferred.
    queue.tick(10 * SECOND);
    assert_eq!(queue.complete(got[0].0), Err(Lost));
    assert!(queue.assign(10 * SECOND).is_none());
    let got = queue.receive_deferred(&[sequence], false, None, 10 * SECOND);
    assert_eq!(queue.complete(got.unwrap()[0].0), Ok(()));
    assert_eq!(queue.counts(), Counts::default());
}

#[test]
fn a_deferred_message_of_a_group_without_sessions_has_a_lock_that_ends() {
    let mut queue = plain();
    let sequence = queue.enqueue(session_message("a", "s"), None, 0);
    let given = next(&mut queue, 0);
    queue.defer(given.token, Vec::new()).unwrap();
    let got = queue.receive_deferred(&[sequence], false, Some("s"), 0);
    assert_eq!(got.unwrap().len(), 1);
    queue.tick(10 * SECOND);
    let again = queue.receive_deferred(&[sequence], false, Some("s"), 10 * SECOND);
    assert_eq!(again.unwrap().len(), 1, "locked for ever");
}

#[test]
fn scheduled_messages_are_due_or_cancelled() {
    let mut queue = plain();
    let first = queue.schedule(message("a"), 5 * SECOND);
    let second = queue.schedule(message("b"), 6 * SECOND);
    assert_eq!((first, second), (1, 2));
    assert!(queue.cancel(first) && !queue.cancel(first) && !queue.cancel(9));
    assert_eq!(queue.peek(1, 10, None).len(), 1);
    queue.tick(6 * SECOND);
    match &queue.take_effects()[..] {
        [Effect::Due(message)] => assert_eq!(body(message), "b"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_expire_unless_they_are_locked() {
    let mut queue = queue(|settings| {
        settings.default_ttl = Some(Duration::from_secs(5));
        settings.dead_letter_on_expiration = true;
    });
    consume(&mut queue, LINK, 1, None);
    queue.enqueue(message("a"), None, 0);
    queue.enqueue(message("b"), None, 0);
    let given = next(&mut queue, 0);
    queue.tick(5 * SECOND);
    let expired = dead(&mut queue);
    assert_eq!(body(&expired[0].0.message), "b");
    queue.abandon(given.token, Vec::new()).unwrap();
    queue.tick(5 * SECOND);
    assert_eq!(body(&dead(&mut queue)[0].0.message), "a");
}

#[test]
fn a_session_is_one_links_and_in_order() {
    let mut queue = queue(|settings| settings.requires_session = true);
    queue.enqueue(session_message("b1", "b"), None, 0);
    queue.enqueue(session_message("a1", "a"), None, 0);
    queue.enqueue(session_message("b2", "b"), None, 0);
    let granted = |id: &str| Accepted::Granted {
        id: id.to_owned(),
        until: 10 * SECOND,
    };
    assert_eq!(queue.accept_session(LINK, None, 0), granted("b"));
    assert_eq!(queue.accept_session(OTHER, Some("b"), 0), Accepted::Taken);
    assert_eq!(queue.accept_session(OTHER, None, 0), granted("a"));
    assert_eq!(queue.accept_session(LinkId(3), None, 0), Accepted::None);
    consume(&mut queue, LINK, 5, Some("b"));
    let (first, second) = (next(&mut queue, 0), next(&mut queue, 0));
    assert_eq!(
        (body(&first.message), body(&second.message)),
        ("b1".into(), "b2".into())
    );
    assert!(queue.assign(0).is_none(), "nobody takes what is another's");
}

#[test]
fn a_session_that_expires_takes_its_messages_back() {
    let mut queue = queue(|settings| settings.requires_session = true);
    queue.enqueue(session_message("a", "s"), None, 0);
    queue.accept_session(LINK, Some("s"), 0);
    consume(&mut queue, LINK, 5, Some("s"));
    let given = next(&mut queue, 0);
    assert_eq!(queue.renew_session("s", 5 * SECOND), Ok(15 * SECOND));
    queue.tick(15 * SECOND);
    assert!(matches!(&queue.take_effects()[..], [Effect::SessionLost(LINK, s)] if s == "s"));
    assert_eq!(queue.complete(given.token), Err(Lost));
    assert_eq!(queue.renew_session("s", 15 * SECOND), Err(Lost));
    queue.accept_session(OTHER, None, 15 * SECOND);
    consume(&mut queue, OTHER, 5, Some("s"));
    assert_eq!(next(&mut queue, 15 * SECOND).stamp.delivery_count, 1);
}

#[test]
fn a_session_that_is_given_up_counts_nothing_and_keeps_its_state() {
    let mut queue = queue(|settings| settings.requires_session = true);
    queue.enqueue(session_message("a", "s"), None, 0);
    queue.accept_session(LINK, Some("s"), 0);
    consume(&mut queue, LINK, 5, Some("s"));
    next(&mut queue, 0);
    queue.sessions.get_mut("s").unwrap().state = Some(vec![7]);
    queue.remove_consumer(LINK);
    queue.accept_session(OTHER, None, 0);
    consume(&mut queue, OTHER, 5, Some("s"));
    assert_eq!(next(&mut queue, 0).stamp.delivery_count, 0);
    assert_eq!(queue.sessions.get("s").unwrap().state, Some(vec![7]));
}

#[test]
fn credit_is_what_is_given_and_links_take_turns() {
    let mut queue = queue(|_| {});
    consume(&mut queue, LINK, 2, None);
    consume(&mut queue, OTHER, 1, None);
    for name in ["a", "b", "c", "d"] {
        queue.enqueue(message(name), None, 0);
    }
    let links: Vec<LinkId> = std::iter::from_fn(|| queue.assign(0))
        .map(|a| a.link)
        .collect();
    assert_eq!(links, [LINK, OTHER, LINK]);
    assert_eq!((queue.counts().locked, queue.counts().active), (3, 1));
}

#[test]
fn what_was_not_sent_was_not_delivered() {
    let mut queue = plain();
    queue.enqueue(message("a"), None, 0);
    let given = next(&mut queue, 0);
    queue.unassign(given.token);
    assert_eq!(next(&mut queue, 0).stamp.delivery_count, 0);
}

#[test]
fn a_link_that_goes_leaves_its_locks() {
    let mut queue = plain();
    queue.enqueue(message("a"), None, 0);
    let given = next(&mut queue, 0);
    queue.remove_consumer(LINK);
    consume(&mut queue, OTHER, 1, None);
    assert!(queue.assign(0).is_none());
    assert_eq!(queue.complete(given.token), Ok(()));
}
