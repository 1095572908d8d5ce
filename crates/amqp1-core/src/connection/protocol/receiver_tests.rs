#![allow(clippy::unwrap_used)]
use super::super::tracker::{Confirmation, Tracked, Tracker};
use super::*;
use crate::wire::frame::State as DeliveryState;

fn receiver(prefetch: u32) -> Receiver {
    let mut receiver = Receiver::new("r".to_owned(), prefetch, Signal::new());
    receiver.phase = Phase::Attached;
    receiver
}

impl Receiver {
    fn arrive(
        &mut self,
        transfer: Transfer<&[u8]>,
        payload: &'static [u8],
    ) -> Result<(), DecodeError> {
        self.on_transfer(&transfer, payload, &mut Block::default(), Instant::now())
    }
}

fn transfer(delivery_id: Option<u32>, more: bool) -> Transfer<&'static [u8]> {
    Transfer {
        delivery_id,
        more,
        ..Transfer::default()
    }
}

#[test]
fn credit_never_exceeds_what_is_free() {
    let mut receiver = receiver(4);
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(4));
    for id in 0..4 {
        receiver.arrive(transfer(Some(id), false), b"x").unwrap();
    }
    assert_eq!(receiver.wanted_credit(Instant::now()), None);
    let id = receiver.take().unwrap().delivery_id;
    receiver.accept(id, Instant::now);
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(1));
}

#[test]
fn credit_in_whole_windows_waits_for_the_last_delivery() {
    let mut receiver = receiver(4).in_windows(true);
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(4));
    for id in 0..4 {
        assert_eq!(receiver.wanted_credit(Instant::now()), None);
        receiver.arrive(transfer(Some(id), false), b"").unwrap();
        let id = receiver.take().unwrap().delivery_id;
        receiver.accept(id, Instant::now);
    }
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(4));
}

#[test]
fn a_delivery_without_credit_is_refused() {
    let mut receiver = receiver(1);
    assert!(receiver.arrive(transfer(Some(0), false), b"").is_err());
}

#[test]
fn pausing_again_and_again_lets_no_more_in() {
    let mut receiver = receiver(4);
    for _ in 0..100 {
        receiver.set_prefetch(4);
        receiver.wanted_credit(Instant::now());
        receiver.set_prefetch(0);
    }
    for id in 0..4 {
        receiver.arrive(transfer(Some(id), false), b"").unwrap();
    }
    assert!(receiver.arrive(transfer(Some(4), false), b"").is_err());
}

#[test]
fn acknowledgements_are_told_as_ranges() {
    let mut receiver = receiver(100);
    for id in [7, 8, 9, 11] {
        receiver.accept(id, Instant::now);
    }
    assert_eq!(receiver.accepted, [(7, 9), (11, 11)]);
    let mut out = Vec::new();
    assert!(receiver.flush(&mut out, 0));
    assert!(!receiver.flush(&mut out, 0));
}

#[test]
fn frames_of_one_delivery_are_joined() {
    let mut receiver = receiver(2);
    receiver.wanted_credit(Instant::now());
    receiver.arrive(transfer(Some(1), true), b"ab").unwrap();
    assert!(receiver.take().is_none());
    receiver.arrive(transfer(None, false), b"cd").unwrap();
    assert_eq!(&receiver.take().unwrap().payload[..], b"abcd");
}

#[test]
fn a_sender_that_settles_second_confirms() {
    let mut receiver = receiver(4).releasing_in_hand(true);
    receiver.wanted_credit(Instant::now());
    for id in 0..3 {
        receiver.arrive(transfer(Some(id), false), b"x").unwrap();
        receiver.take();
    }
    let (tracker, mut out) = (Tracker::default(), Vec::new());
    for index in 0..2 {
        let tracked = Tracked {
            tracker: tracker.clone(),
            index,
        };
        receiver.settle_second(&mut out, 0, index as u32, &ACCEPTED, tracked);
    }
    assert_eq!((tracker.pending(), receiver.held()), (2, 1));
    let lost = DeliveryState::Rejected(Some(("lost".to_owned(), None)));
    receiver.on_settled(1, 1, Some(&lost));
    receiver.on_settled(0, 0, None);
    let mut outcomes = Vec::new();
    tracker.take(&mut outcomes, 0);
    let rejected = Confirmation::Rejected(Some(("lost".to_owned(), None)));
    assert_eq!(outcomes, [(1, rejected), (0, Confirmation::Accepted)]);
    // PHP holds the third: it is returned when the link ends.
    out.clear();
    receiver.return_in_hand(&mut out, 0);
    assert!(!out.is_empty());
}

#[test]
fn an_unconfirmed_settlement_is_lost_with_its_link() {
    let mut receiver = receiver(4).releasing_in_hand(true);
    let tracker = Tracker::default();
    let tracked = Tracked {
        tracker: tracker.clone(),
        index: 0,
    };
    receiver.settle_second(&mut Vec::new(), 0, 9, &ACCEPTED, tracked);
    receiver.fail(&Error::connection("gone"));
    let mut outcomes = Vec::new();
    tracker.take(&mut outcomes, 0);
    assert_eq!(
        outcomes,
        [(0, Confirmation::Lost(Error::connection("gone")))]
    );
}

fn deliver(receiver: &mut Receiver, id: u32) {
    receiver.arrive(transfer(Some(id), false), b"x").unwrap();
}

#[test]
fn a_drained_receiver_is_answered_and_gets_its_credit_again() {
    let mut receiver = receiver(4);
    receiver.wanted_credit(Instant::now());
    assert!(receiver.is_answered(Instant::now()));
    assert_eq!(receiver.ask(Instant::now()), Some(4));
    deliver(&mut receiver, 0);
    assert!(!receiver.is_answered(Instant::now()));
    // Settled in the meantime: credit for it waits for the answer, which shows how much was used.
    let id = receiver.take().unwrap().delivery_id;
    receiver.accept(id, Instant::now);
    assert_eq!(receiver.wanted_credit(Instant::now()), None);
    assert_eq!(receiver.on_drained(Some(4), 0, Instant::now()), None);
    assert!(receiver.is_answered(Instant::now()));
    assert_eq!((receiver.delivery_count(), receiver.credit()), (4, 0));
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(4));
}

#[test]
fn a_second_question_is_not_answered_by_the_first_answer() {
    let mut receiver = receiver(4);
    assert_eq!(receiver.ask(Instant::now()), Some(4));
    assert_eq!(receiver.ask(Instant::now()), None);
    assert_eq!(receiver.on_drained(Some(4), 0, Instant::now()), Some(4));
    assert!(!receiver.is_answered(Instant::now()));
    assert_eq!(receiver.on_drained(Some(8), 0, Instant::now()), None);
    assert!(receiver.is_answered(Instant::now()));
}

#[test]
fn a_question_ends_with_the_credit_and_its_late_answer_harms_nothing() {
    let mut receiver = receiver(2);
    assert_eq!(receiver.ask(Instant::now()), Some(2));
    for id in 0..2 {
        deliver(&mut receiver, id);
    }
    assert!(receiver.is_answered(Instant::now()));
    // PHP holds all of the prefetch.
    assert_eq!(receiver.ask(Instant::now()), None);
    assert!(receiver.is_answered(Instant::now()));
    for _ in 0..2 {
        let id = receiver.take().unwrap().delivery_id;
        receiver.accept(id, Instant::now);
    }
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(2));
    assert_eq!(receiver.on_drained(Some(2), 0, Instant::now()), None);
    assert_eq!((receiver.delivery_count(), receiver.credit()), (2, 2));
}

#[test]
fn a_pause_that_crosses_the_answer_loses_no_credit() {
    let mut receiver = receiver(4);
    assert_eq!(receiver.ask(Instant::now()), Some(4));
    receiver.set_prefetch(0);
    receiver.set_prefetch(4);
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(4));
    // The broker had drained first, so none of the new credit is left for it.
    receiver.on_drained(Some(4), 0, Instant::now());
    assert_eq!((receiver.delivery_count(), receiver.credit()), (4, 0));
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(4));
}

#[test]
fn an_answer_that_skips_more_than_was_granted_is_ignored() {
    let mut receiver = receiver(4);
    assert_eq!(receiver.ask(Instant::now()), Some(4));
    assert_eq!(receiver.on_drained(Some(5), 0, Instant::now()), None);
    assert_eq!(receiver.on_drained(Some(u32::MAX), 0, Instant::now()), None);
    assert_eq!(receiver.on_drained(None, 0, Instant::now()), None);
    assert_eq!(receiver.on_drained(Some(4), 1, Instant::now()), None);
    assert!(!receiver.is_answered(Instant::now()));
    assert_eq!((receiver.delivery_count(), receiver.credit()), (0, 4));
}

#[test]
fn a_broker_that_does_not_drain_tells_by_its_grant_whether_to_wait() {
    let mut receiver = receiver(4).in_windows(true);
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(4));
    assert!(
        !receiver.is_answered(Instant::now()),
        "what it has comes after the grant"
    );
    receiver.on_state(None, 4, Some(0), Instant::now());
    assert!(receiver.is_answered(Instant::now()));
    receiver.on_state(None, 4, Some(1), Instant::now());
    assert!(!receiver.is_answered(Instant::now()));
    assert_eq!(receiver.ask(Instant::now()), None, "no drain");
}

#[test]
fn an_answer_that_may_be_an_earlier_questions_is_asked_for_again() {
    let (mut receiver, now) = (receiver(1).answered_early(true), Instant::now());
    assert_eq!(receiver.ask(now), Some(1));
    deliver(&mut receiver, 0);
    let id = receiver.take().unwrap().delivery_id;
    receiver.accept(id, Instant::now);
    assert_eq!(receiver.ask(now), Some(1));
    // The broker ends the first question only now, with the credit of the second.
    assert_eq!(receiver.on_drained(Some(2), 0, now), Some(1));
    assert!(!receiver.is_answered(now));
    assert_eq!(receiver.on_drained(Some(3), 0, now), Some(1));
    assert_eq!(receiver.on_drained(Some(4), 0, now), None);
    assert!(!receiver.is_answered(now), "what is late comes now");
    let now = now + Duration::from_millis(100);
    assert!(receiver.is_answered(now));
    // A job that arrives instead also ends it.
    assert_eq!(receiver.ask(now), Some(1));
    assert_eq!(receiver.on_drained(Some(5), 0, now), Some(1));
    deliver(&mut receiver, 5);
    assert!(receiver.is_answered(now));
}

#[test]
fn a_question_that_was_not_heard_is_put_again() {
    let (mut receiver, now) = (receiver(1).answered_early(true), Instant::now());
    assert_eq!(receiver.ask(now), Some(1));
    assert_eq!(receiver.ask_again(now), None);
    let now = now + Duration::from_millis(100);
    assert!(!receiver.is_answered(now));
    assert_eq!(receiver.ask_again(now), Some(1));
    assert_eq!(receiver.ask_again(now), None);
    deliver(&mut receiver, 0);
    assert!(receiver.is_answered(now));
    assert_eq!(receiver.ask_again(now), None);
}

/// `count` deliveries have arrived, and PHP holds the first.
fn with_one_in_hand(count: u32) -> Receiver {
    let mut receiver = receiver(count);
    assert_eq!(receiver.wanted_credit(Instant::now()), Some(count));
    for id in 0..count {
        receiver.arrive(transfer(Some(id), false), b"x").unwrap();
    }
    assert_eq!(receiver.take().unwrap().delivery_id, 0);
    receiver
}

#[test]
fn what_is_taken_back_from_the_buffer_is_never_handed_out_and_its_credit_is_right_again() {
    let mut receiver = with_one_in_hand(4);
    receiver.on_released((1, 2));
    assert!(receiver.has_dropped());
    assert_eq!(receiver.take().unwrap().delivery_id, 3);
    assert!(receiver.take().is_none());
    // Only when the broker knows that they are settled may it send as many again.
    assert_eq!(
        (receiver.held(), receiver.wanted_credit(Instant::now())),
        (4, None)
    );
    let mut out = Vec::new();
    receiver.settle_dropped(&mut out, 0);
    assert!(!out.is_empty() && !receiver.has_dropped());
    assert_eq!(
        (receiver.held(), receiver.wanted_credit(Instant::now())),
        (2, Some(2))
    );
}

#[test]
fn what_is_taken_back_in_hand_is_settled_as_the_broker_said() {
    let mut receiver = with_one_in_hand(2);
    receiver.take();
    receiver.on_released((0, 0));
    assert!(receiver.is_recalled(0) && !receiver.is_recalled(1) && !receiver.has_dropped());
    let mut out = Vec::new();
    assert!(!receiver.settle_recalled(&mut out, 0, 1) && out.is_empty());
    assert!(receiver.settle_recalled(&mut out, 0, 0));
    assert!(out.ends_with(&RELEASED));
    assert_eq!(receiver.held(), 1);
    // If PHP holds nothing, nothing needs to be remembered.
    receiver.accept(1, Instant::now);
    assert!(!receiver.is_recalled(0));
}

#[test]
fn what_php_has_let_go_of_is_settled_when_it_is_taken_back() {
    let mut receiver = with_one_in_hand(2);
    receiver.take();
    receiver.abandon(&mut Vec::new(), 0, 0);
    assert!(!receiver.has_dropped());
    receiver.on_released((0, 1));
    let mut out = Vec::new();
    receiver.abandon(&mut out, 0, 1);
    receiver.settle_dropped(&mut out, 0);
    assert_eq!(
        (receiver.held(), receiver.wanted_credit(Instant::now())),
        (0, Some(2))
    );
}

#[test]
fn a_delivery_taken_back_between_its_frames_is_not_handed_out() {
    let mut receiver = receiver(2);
    receiver.wanted_credit(Instant::now());
    receiver.arrive(transfer(Some(5), true), b"ab").unwrap();
    receiver.on_released((5, 5));
    receiver.arrive(transfer(None, false), b"cd").unwrap();
    assert!(receiver.take().is_none());
    receiver.settle_dropped(&mut Vec::new(), 0);
    assert_eq!(
        (receiver.held(), receiver.wanted_credit(Instant::now())),
        (0, Some(2))
    );
}

#[test]
fn a_release_of_all_there_is_takes_no_time() {
    let mut receiver = with_one_in_hand(4);
    receiver.on_released((0, u32::MAX));
    assert!(receiver.take().is_none());
    assert!(receiver.is_recalled(0));
}

/// Otherwise, a short prefetch is not fully used: nothing is on its way before the gathered
/// settlements are sent.
#[test]
fn when_php_waits_a_quarter_of_the_prefetch_is_on_its_way_and_all_after_a_flush() {
    let now = Instant::now();
    for prefetch in 1..=40 {
        let mut receiver = receiver(prefetch);
        receiver.wanted_credit(now);
        let mut id = 0;
        // Batches of any size arrive, and PHP processes each before the next one.
        for round in 0..200 {
            let batch = (round * 7 % prefetch + 1).min(receiver.credit());
            for _ in 0..batch {
                deliver(&mut receiver, id);
                id += 1;
            }
            while let Some(incoming) = receiver.take() {
                if receiver.accept(incoming.delivery_id, Instant::now) {
                    receiver.wanted_credit(now);
                    receiver.flush(&mut Vec::new(), 0);
                }
            }
            assert!(!receiver.is_low() && !receiver.is_starving());
            let credit = receiver.credit();
            assert!(credit > prefetch / 4, "{credit} of {prefetch}");
            if round % 3 == 0 {
                receiver.wanted_credit(now);
                receiver.flush(&mut Vec::new(), 0);
                assert!(!receiver.is_low() && receiver.accepted.is_empty());
                let credit = receiver.credit();
                assert!(credit + prefetch / 8 >= prefetch, "{credit} of {prefetch}");
            }
        }
    }
}

/// How many of ten deliveries are accepted before the broker is told, if each takes this long.
fn accepted_before_told(job: Duration) -> usize {
    let mut now = Instant::now();
    let mut receiver = receiver(10);
    receiver.wanted_credit(now);
    for id in 0..10 {
        let one = transfer(Some(id), false);
        let mut block = Block::default();
        receiver.on_transfer(&one, b"x", &mut block, now).unwrap();
    }
    let mut accepted = 0;
    while let Some(incoming) = receiver.take() {
        now += job;
        accepted += 1;
        if receiver.accept(incoming.delivery_id, || now) {
            break;
        }
    }
    accepted
}

#[test]
fn half_of_the_prefetch_is_settled_alone_only_if_php_takes_its_time() {
    assert_eq!(accepted_before_told(Duration::from_micros(10)), 10);
    assert_eq!(accepted_before_told(Duration::from_micros(30)), 7);
    assert_eq!(accepted_before_told(Duration::from_micros(100)), 5);
    assert_eq!(accepted_before_told(Duration::from_secs(1)), 5);
}

/// PHP holds deliveries that it has not settled, so none of its acknowledgements was the last.
#[test]
fn who_waits_with_settlements_and_without_credit_tells_the_broker() {
    let mut receiver = receiver(4);
    let now = Instant::now();
    receiver.wanted_credit(now);
    for id in 0..4 {
        deliver(&mut receiver, id);
    }
    let first = receiver.take().unwrap();
    assert!(!receiver.accept(first.delivery_id, || now));
    while receiver.take().is_some() {}
    assert!(receiver.is_starving() && !receiver.is_low());
    receiver.flush(&mut Vec::new(), 0);
    assert!(!receiver.is_starving() && receiver.is_low());
}
