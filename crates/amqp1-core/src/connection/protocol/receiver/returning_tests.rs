#![allow(clippy::unwrap_used)]
use std::time::{Duration, Instant};

use super::super::waiting::Waited;
use super::*;
use crate::base::memory::Block;
use crate::base::wait::Signal;
use crate::format::history::{FAILED, RETURNED};
use crate::wire::frame::Transfer;
use crate::wire::message::section;
use crate::wire::write;

fn receiver(prefetch: u32, ledger: Ledger) -> Receiver {
    let receiver = Receiver::new("r".to_owned(), prefetch, Signal::new());
    let mut receiver = receiver.with_ledger(ledger);
    receiver.phase = Phase::Attached;
    receiver
}

/// A message that was delivered `deliveries` times before, `returned` of which are recorded as
/// returns.
fn message(deliveries: u32, returned: i64) -> Bytes {
    let mut out = Vec::new();
    write::descriptor(&mut out, section::HEADER);
    write::list(&mut out, |out| {
        write::bool(out, true);
        write::null(out);
        write::null(out);
        write::bool(out, deliveries == 0);
        write::uint(out, 0);
        5
    });
    if deliveries > 0 {
        write::descriptor(&mut out, section::MESSAGE_ANNOTATIONS);
        write::map(&mut out, |out| {
            write::symbol(out, "x-acquired-count");
            write::long(out, i64::from(deliveries));
            write::symbol(out, RETURNED);
            write::long(out, returned);
            4
        });
    }
    out.into()
}

fn fresh() -> Bytes {
    message(0, 0)
}

/// A message that came back without an outcome.
fn suspect() -> Bytes {
    message(2, 1)
}

fn deliver(receiver: &mut Receiver, id: u32, payload: Bytes) {
    let transfer = Transfer {
        delivery_id: Some(id),
        ..Transfer::default()
    };
    receiver
        .on_transfer(&transfer, &payload, &mut Block::default(), Instant::now())
        .unwrap();
}

/// As the session does it. True if the broker must be told that there is no more credit.
fn return_waited(receiver: &mut Receiver, now: Instant, out: &mut Vec<u8>) -> bool {
    if receiver.waited(now) != Waited::All {
        return false;
    }
    receiver.slow_down();
    let told = receiver.revoke();
    receiver.release_beyond(0, out, 0);
    told
}

fn ids(receiver: &mut Receiver) -> Vec<u32> {
    std::iter::from_fn(|| Some(receiver.take()?.delivery_id)).collect()
}

/// At full speed, while PHP processes the first job.
fn busy(prefetch: u32) -> Receiver {
    let mut receiver = receiver(prefetch, Ledger::All);
    assert_eq!(
        receiver.wanted_credit(Instant::now()),
        None,
        "PHP has not asked"
    );
    assert!(receiver.take().is_none());
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(1));
    deliver(&mut receiver, 0, fresh());
    assert!(receiver.takes_up_speed() && !receiver.is_careful());
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(prefetch - 1));
    assert_eq!(receiver.take().unwrap().delivery_id, 0);
    receiver
}

#[test]
fn jobs_that_came_back_without_a_word_are_asked_for_one_at_a_time() {
    let mut receiver = receiver(10, Ledger::All);
    for id in 0..3 {
        assert!(receiver.take().is_none());
        assert_eq!(receiver.wanted_credit(Instant::now()), Some(1));
        assert_eq!(receiver.wanted_credit(Instant::now()), None);
        deliver(&mut receiver, id, suspect());
        assert!(!receiver.return_unwelcome(&mut Vec::new(), 0));
        assert_eq!(receiver.take().unwrap().delivery_id, id);
        assert_eq!(
            receiver.wanted_credit(Instant::now()),
            None,
            "nothing waits behind it"
        );
        receiver.accept(id, Instant::now);
    }
}

#[test]
fn such_a_job_does_not_wait_behind_another_one() {
    let mut receiver = busy(4);
    deliver(&mut receiver, 1, fresh());
    deliver(&mut receiver, 2, suspect());
    let mut out = Vec::new();
    assert!(receiver.return_unwelcome(&mut out, 0), "no more credit");
    // `modified` with the second return recorded.
    let told = state::modified(false, &[(RETURNED, 2)]);
    assert!(out.ends_with(&told));
    assert_eq!((receiver.held(), receiver.credit()), (2, 0));
    // A delivery in flight is still accepted.
    deliver(&mut receiver, 3, fresh());
    assert_eq!(ids(&mut receiver), [1, 3]);
    (0..=3).filter(|id| *id != 2).for_each(|id| {
        receiver.accept(id, Instant::now);
    });
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(1));
}

#[test]
fn what_went_back_unseen_or_failed_is_no_suspect() {
    let mut receiver = busy(4);
    deliver(&mut receiver, 1, message(2, 2));
    assert!(!receiver.is_careful());
    assert_eq!(ids(&mut receiver), [1]);
    assert!(
        FAILED.starts_with("x-opt-"),
        "RabbitMQ takes no other names"
    );
}

#[test]
fn a_broker_that_does_not_keep_our_word_is_asked_for_all_at_once() {
    let mut receiver = receiver(4, Ledger::None);
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(4));
    for id in 0..4 {
        deliver(&mut receiver, id, suspect());
    }
    assert_eq!(ids(&mut receiver), [0, 1, 2, 3]);
}

#[test]
fn what_is_released_is_told_as_ranges_of_the_same_history() {
    let mut receiver = busy(6);
    for (id, payload) in [(1, fresh()), (2, fresh()), (3, message(1, 1))] {
        deliver(&mut receiver, id, payload);
    }
    let mut out = Vec::new();
    receiver.release_buffered(&mut out, 0);
    let mut told = Vec::new();
    for (first, last, returned) in [(1, 2, 1), (3, 3, 2)] {
        let modified = state::modified(false, &[(RETURNED, returned)]);
        frame::encode_disposition(&mut told, 0, first, last, true, &modified);
    }
    assert_eq!(out, told);
}

#[test]
fn a_question_of_a_careful_link_is_for_one_job() {
    let mut receiver = receiver(10, Ledger::All);
    assert!(receiver.take().is_none());
    assert_eq!(receiver.ask(Instant::now()), Some(1));
    deliver(&mut receiver, 0, fresh());
    assert!(receiver.is_answered(Instant::now()) && receiver.takes_up_speed());
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(9));
}

#[test]
fn what_comes_over_credit_that_was_taken_back_is_no_breach() {
    // RabbitMQ 3 reports that it sends nothing more, and then does.
    let mut receiver = receiver(10, Ledger::None);
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(10));
    receiver.set_prefetch(0);
    receiver.on_state(Some(0), 0, None, Instant::now());
    deliver(&mut receiver, 0, fresh());
    assert!(receiver.is_paused());
}

#[test]
fn what_waits_for_half_of_the_timeout_goes_back() {
    let mut receiver = busy(4).with_timeout(Some(Duration::from_secs(60)));
    assert_eq!(
        receiver.waited_at(),
        None,
        "what PHP has is not the buffer's"
    );
    let start = Instant::now();
    deliver(&mut receiver, 1, fresh());
    deliver(&mut receiver, 2, fresh());
    let at = receiver.waited_at().unwrap();
    assert!(at >= start + Duration::from_secs(30));
    let mut out = Vec::new();
    assert!(!return_waited(
        &mut receiver,
        at - Duration::from_secs(1),
        &mut out
    ));
    assert!(out.is_empty());
    assert!(return_waited(&mut receiver, at, &mut out), "no more credit");
    let returned = state::modified(false, &[(RETURNED, 1)]);
    assert!(out.ends_with(&returned));
    assert_eq!(receiver.waited_at(), None);
    assert_eq!(receiver.held(), 1);
    // Other consumers may have them. When PHP asks, it gets one.
    assert_eq!(receiver.wanted_credit(Instant::now()), None);
    receiver.accept(0, Instant::now);
    assert!(receiver.take().is_none());
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(1));
}

/// The broker takes back the first of three deliveries while PHP holds it; the others are buffered.
fn recalled() -> Receiver {
    let mut receiver = receiver(3, Ledger::All);
    assert!(receiver.take().is_none());
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(1));
    deliver(&mut receiver, 0, fresh());
    assert!(receiver.takes_up_speed());
    assert_eq!(receiver.take().unwrap().delivery_id, 0);
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(2));
    deliver(&mut receiver, 1, fresh());
    deliver(&mut receiver, 2, fresh());
    receiver.on_released((0, 0));
    receiver
}

#[test]
fn what_is_buffered_behind_a_job_that_was_taken_back_goes_back_too() {
    let mut receiver = recalled();
    let mut out = Vec::new();
    receiver.return_doubtful(&mut out, 0);
    assert!(!out.is_empty());
    assert!(receiver.take().is_none());
    assert_eq!((receiver.held(), receiver.credit()), (1, 0));
}

#[test]
fn no_credit_is_granted_before_the_last_that_was_taken_back_is_answered() {
    let mut receiver = recalled();
    receiver.return_doubtful(&mut Vec::new(), 0);
    // PHP asks for another delivery while it holds the lost one.
    assert!(receiver.take().is_none());
    assert_eq!(receiver.wanted_credit(Instant::now()), None);
    assert_eq!(receiver.ask(Instant::now()), None);
    assert!(receiver.is_answered(Instant::now()));
    let mut out = Vec::new();
    assert!(receiver.settle_recalled(&mut out, 0, 0));
    assert!(out.ends_with(&RELEASED));
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(1));
}

#[test]
fn a_lost_job_that_php_lets_go_of_blocks_nothing() {
    let mut receiver = recalled();
    receiver.return_doubtful(&mut Vec::new(), 0);
    let mut out = Vec::new();
    receiver.abandon(&mut out, 0, 0);
    assert!(out.ends_with(&RELEASED));
    assert!(receiver.take().is_none());
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(1));
    // Abandoned first, then taken back.
    let mut receiver = recalled();
    receiver.abandon(&mut Vec::new(), 0, 0);
    receiver.on_released((0, 2));
    receiver.settle_dropped(&mut Vec::new(), 0);
    assert!(!receiver.is_blocked());
    assert_eq!(receiver.held(), 0);
}

#[test]
fn what_was_taken_back_is_answered_in_as_few_words_as_can_be() {
    let mut receiver = receiver(100, Ledger::All);
    assert!(receiver.credit.mode.clear());
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(100));
    // Ids wrap. Every third is settled, and PHP holds some.
    let first = u32::MAX - 30;
    for at in 0..100 {
        deliver(&mut receiver, first.wrapping_add(at), fresh());
    }
    let all: Vec<u32> = (0..99).map(|at| first.wrapping_add(at)).collect();
    for id in &all {
        assert_eq!(receiver.take().unwrap().delivery_id, *id);
    }
    for id in all.iter().step_by(3) {
        receiver.accept(*id, Instant::now);
    }
    receiver.flush(&mut Vec::new(), 0);
    receiver.on_released((first, first.wrapping_add(99)));
    let mut out = Vec::new();
    for id in all.iter().skip(1).step_by(3) {
        receiver.settle_recalled(&mut out, 0, *id);
    }
    for id in all.iter().skip(2).step_by(3).filter(|id| **id != all[50]) {
        receiver.settle_recalled(&mut out, 0, *id);
    }
    assert!(out.is_empty(), "one is in hand");
    receiver.settle_recalled(&mut out, 0, all[50]);
    let dispositions = out.windows(4).filter(|four| *four == RELEASED);
    assert_eq!(dispositions.count(), 1);
    assert_eq!(receiver.held(), 0);
}

/// A message whose past is recorded only in the header's delivery-count.
fn counted(delivery_count: u32) -> Bytes {
    let mut out = Vec::new();
    write::descriptor(&mut out, section::HEADER);
    write::list(&mut out, |out| {
        write::bool(out, true);
        (0..2).for_each(|_| write::null(out));
        write::bool(out, false);
        write::uint(out, delivery_count);
        5
    });
    out.into()
}

#[test]
fn where_only_deliveries_are_counted_what_was_lost_is_alone_and_what_goes_back_is_released() {
    let mut receiver = receiver(10, Ledger::Lost).counted_at_the_end(true);
    assert!(receiver.take().is_none());
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(1));
    deliver(&mut receiver, 0, counted(0));
    assert!(receiver.takes_up_speed() && !receiver.is_careful());
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(9));
    deliver(&mut receiver, 1, counted(1));
    let mut out = Vec::new();
    assert!(receiver.return_unwelcome(&mut out, 0), "no more credit");
    assert!(out.ends_with(&RELEASED));
    // PHP holds it when the link ends, which the broker might count.
    assert_eq!(ids(&mut receiver), [0]);
    out.clear();
    receiver.return_in_hand(&mut out, 0);
    assert!(out.ends_with(&RELEASED));
}

/// Otherwise, the connection's thread would check again and again.
#[test]
fn where_a_return_would_count_nobody_looks_for_what_has_waited() {
    for (ledger, is_looked_for) in [(Ledger::All, true), (Ledger::Failed, false)] {
        let timeout = Some(std::time::Duration::from_secs(8));
        let mut receiver = receiver(4, ledger).with_timeout(timeout);
        receiver.take();
        receiver.wanted_credit(Instant::now());
        deliver(&mut receiver, 0, fresh());
        assert_eq!(receiver.waited_at().is_some(), is_looked_for, "{ledger:?}");
        let due = Instant::now() + std::time::Duration::from_secs(8);
        return_waited(&mut receiver, due, &mut Vec::new());
        assert_eq!(receiver.waited_at(), None, "{ledger:?}");
    }
}
