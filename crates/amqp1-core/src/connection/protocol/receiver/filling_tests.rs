#![allow(clippy::unwrap_used)]
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::waiting::Waited;
use super::super::Receiver;
use crate::base::memory::Block;
use crate::base::wait::Signal;
use crate::connection::protocol::elastic::{Elastic, LastTaken};
use crate::connection::protocol::link::Phase;
use crate::wire::frame::Transfer;

const PATIENCE: Duration = Duration::from_secs(1);

struct Consumer {
    receiver: Receiver,
    taken: Arc<LastTaken>,
    now: Instant,
    next: u32,
    out: Vec<u8>,
}

impl Consumer {
    fn new(prefetch: u32, patience: Option<Duration>) -> Self {
        let now = Instant::now();
        let taken = Arc::new(LastTaken::new(now));
        let elastic = Elastic {
            patience,
            bytes: 1000,
            most: 6,
            taken: Arc::clone(&taken),
        };
        let receiver = Receiver::new("r".to_owned(), prefetch, Signal::new());
        let mut receiver = receiver.elastic(Some(elastic));
        receiver.phase = Phase::Attached;
        Self {
            receiver,
            taken,
            now,
            next: 0,
            out: Vec::new(),
        }
    }

    /// Uses all credit.
    fn fill(&mut self, size: usize) {
        self.receiver.wanted_credit(self.now);
        while self.receiver.credit() > 0 {
            self.deliver(size);
        }
    }

    fn deliver(&mut self, size: usize) {
        let transfer = Transfer {
            delivery_id: Some(self.next),
            ..Transfer::default()
        };
        self.next += 1;
        let payload = Bytes::from(vec![0; size]);
        self.receiver
            .on_transfer(&transfer, &payload, &mut Block::default(), self.now)
            .unwrap();
    }

    fn take(&mut self) -> Option<u32> {
        let id = self.receiver.take()?.delivery_id;
        self.taken.set(self.now);
        Some(id)
    }

    fn work(&mut self, time: Duration) {
        let id = self.take().unwrap();
        self.now += time;
        self.receiver.accept(id, Instant::now);
    }
}

#[test]
fn what_waits_while_php_works_on_one_job_is_returned() {
    let mut consumer = Consumer::new(4, Some(PATIENCE));
    consumer.fill(1);
    consumer.take();
    assert_eq!(consumer.receiver.waited_at(), Some(consumer.now + PATIENCE));
    consumer.now += PATIENCE - Duration::from_millis(1);
    assert_eq!(consumer.receiver.waited(consumer.now), Waited::Nothing);
    consumer.now += Duration::from_millis(1);
    assert_eq!(consumer.receiver.waited(consumer.now), Waited::All);
    consumer.receiver.release_beyond(0, &mut consumer.out, 0);
    assert_eq!(consumer.receiver.held(), 1);
    assert_eq!(consumer.receiver.waited_at(), None);
}

#[test]
fn jobs_of_another_queue_are_work_too() {
    let mut consumer = Consumer::new(4, Some(PATIENCE));
    consumer.fill(1);
    for _ in 0..20 {
        consumer.now += PATIENCE / 2;
        // From another link.
        consumer.taken.set(consumer.now);
        consumer.now += PATIENCE / 2;
        assert_eq!(consumer.receiver.waited(consumer.now), Waited::Nothing);
        assert!(consumer.receiver.waited_at() > Some(consumer.now));
    }
}

#[test]
fn who_has_become_slow_keeps_as_many_as_the_new_prefetch() {
    let mut consumer = Consumer::new(6, Some(PATIENCE));
    consumer.fill(1);
    consumer.work(PATIENCE - Duration::from_millis(100));
    consumer.receiver.set_prefetch(2);
    assert_eq!(consumer.take(), Some(1));
    consumer.now += Duration::from_millis(200);
    // One is in hand, and four wait.
    assert_eq!(consumer.receiver.waited(consumer.now), Waited::Beyond(1));
    consumer.receiver.release_beyond(1, &mut consumer.out, 0);
    assert_eq!(consumer.receiver.held(), 2);
    assert_eq!(consumer.take(), Some(2), "the first ones are kept");
}

#[test]
fn where_returns_cost_something_nothing_is_returned() {
    let mut consumer = Consumer::new(4, None);
    consumer.fill(400);
    consumer.take();
    consumer.now += 100 * PATIENCE;
    assert_eq!(consumer.receiver.waited_at(), None);
    assert_eq!(consumer.receiver.waited(consumer.now), Waited::Nothing);
    assert_eq!(
        consumer.receiver.overflow(),
        Some(3),
        "only credit is taken back"
    );
}

#[test]
fn a_lower_prefetch_takes_unused_credit_back() {
    let mut consumer = Consumer::new(6, Some(PATIENCE));
    let receiver = &mut consumer.receiver;
    assert_eq!(receiver.wanted_credit(consumer.now), Some(6));
    consumer.deliver(1);
    let receiver = &mut consumer.receiver;
    receiver.set_prefetch(3);
    assert_eq!(receiver.shrink(), Some(2));
    assert_eq!((receiver.shrink(), receiver.credit()), (None, 2));
    // Those that the broker had sent before it knew.
    (0..5).for_each(|_| consumer.deliver(1));
    let receiver = &mut consumer.receiver;
    assert_eq!((receiver.held(), receiver.credit()), (6, 0));
    assert_eq!(receiver.wanted_credit(consumer.now), None);
}

#[test]
fn large_jobs_take_credit_back_and_the_last_ones_are_returned() {
    let mut consumer = Consumer::new(6, Some(PATIENCE));
    consumer.receiver.wanted_credit(consumer.now);
    consumer.deliver(5000);
    assert_eq!(consumer.receiver.overflow(), None, "one is always kept");
    consumer.deliver(10);
    assert_eq!(consumer.receiver.overflow(), Some(1));
    assert!(consumer.receiver.revoke());
    consumer.receiver.release_beyond(1, &mut consumer.out, 0);
    assert_eq!(
        (consumer.receiver.held(), consumer.receiver.credit()),
        (1, 0)
    );
    // What was under way.
    consumer.deliver(10);
    assert_eq!(consumer.receiver.overflow(), Some(1));
    assert!(!consumer.receiver.revoke());
    assert_eq!(consumer.receiver.wanted_credit(consumer.now), None, "full");
    consumer.work(Duration::ZERO);
    assert!(consumer.receiver.wanted_credit(consumer.now) > Some(0));
}

#[test]
fn settled_deliveries_are_never_returned() {
    let mut consumer = Consumer::new(6, Some(PATIENCE));
    consumer.receiver.wanted_credit(consumer.now);
    for id in 0..3 {
        let transfer = Transfer {
            delivery_id: Some(id),
            settled: id == 1,
            ..Transfer::default()
        };
        let payload = Bytes::from(vec![0; 600]);
        let receiver = &mut consumer.receiver;
        receiver
            .on_transfer(&transfer, &payload, &mut Block::default(), consumer.now)
            .unwrap();
    }
    assert_eq!(consumer.receiver.overflow(), Some(3));
    consumer.now += 2 * PATIENCE;
    assert_eq!(consumer.receiver.waited(consumer.now), Waited::Nothing);
    consumer.take();
    consumer.take();
    assert_eq!(consumer.receiver.waited_at(), Some(consumer.now - PATIENCE));
}

#[test]
fn who_holds_several_and_asks_gets_one_more_up_to_a_limit() {
    let mut consumer = Consumer::new(1, Some(PATIENCE));
    for held in 0..6 {
        assert_eq!(consumer.take(), None);
        assert!(consumer.receiver.is_short());
        assert_eq!(consumer.receiver.wanted_credit(consumer.now), Some(1));
        assert_eq!(consumer.receiver.wanted_credit(consumer.now), None);
        assert!(!consumer.receiver.is_short());
        consumer.deliver(1);
        assert_eq!(consumer.take(), Some(held));
    }
    assert_eq!(consumer.take(), None);
    assert_eq!(consumer.receiver.wanted_credit(consumer.now), None);
    assert_eq!(consumer.receiver.held(), 6);
}

/// It took several quickly, then one took long.
#[test]
fn who_holds_more_than_a_lowered_prefetch_gets_one_more() {
    let mut consumer = Consumer::new(4, Some(PATIENCE));
    consumer.fill(1);
    (0..4).for_each(|held| assert_eq!(consumer.take(), Some(held)));
    consumer.receiver.set_prefetch(1);
    assert_eq!(consumer.take(), None);
    assert_eq!(consumer.receiver.wanted_credit(consumer.now), Some(1));
    consumer.deliver(1);
    assert_eq!(consumer.take(), Some(4));
}

#[test]
fn a_prefetch_that_was_set_is_not_exceeded() {
    let mut receiver = Receiver::new("r".to_owned(), 1, Signal::new());
    receiver.phase = Phase::Attached;
    let mut consumer = Consumer::new(1, None);
    consumer.receiver = receiver;
    consumer.fill(5000);
    consumer.take();
    assert_eq!(consumer.take(), None);
    assert!(!consumer.receiver.is_short());
    assert_eq!(consumer.receiver.wanted_credit(consumer.now), None);
    assert_eq!(consumer.receiver.overflow(), None);
}
