#![allow(clippy::unwrap_used)]

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::*;
use crate::base::wait::Wait;
use crate::receive::delivery::Delivery;
use crate::settings::options::{ConsumerOptions, QueueOptions};
use crate::{Job, JobOptions, Payload, Queue};

const QUEUES: usize = 20;

fn wait() -> Wait<'static> {
    Wait::uninterrupted(Duration::from_secs(20))
}

/// A consumer of [`QUEUES`] queues that are empty, which it knows.
fn consumer(broker: &str) -> (Vec<Queue>, Consumer) {
    let queue = |name: usize| {
        let (dsn, name) = (format!("embedded://{broker}"), name.to_string());
        Queue::new(&dsn, Some(&name), QueueOptions::default()).unwrap()
    };
    let queues: Vec<_> = (0..QUEUES).map(queue).collect();
    let options = ConsumerOptions {
        prefetch: Some(10),
        ..ConsumerOptions::default()
    };
    let consumer = Consumer::new(queues.clone(), options).unwrap();
    let soon = Wait::uninterrupted(Duration::from_millis(10));
    assert!(consumer.next(&soon).unwrap().is_none());
    assert!(consumer.is_attached());
    (queues, consumer)
}

fn push(queue: &Queue, name: &str) {
    let job = Job {
        name: name.into(),
        payload: Payload {
            bytes: (&b""[..]).into(),
            json: false,
            keep: None,
        },
        options: JobOptions::default(),
    };
    queue.push(&job, &wait()).unwrap();
}

fn next(consumer: &Consumer) -> Option<Rc<Delivery>> {
    consumer.next(&wait()).unwrap()
}

/// The queues that the next look would visit, in their order.
fn marked(consumer: &Consumer) -> Vec<usize> {
    let marks = consumer.wakeup().marks.unwrap();
    let all: Vec<_> = std::iter::from_fn(|| marks.take()).collect();
    all.iter().for_each(|queue| marks.mark(*queue));
    all
}

/// Waits, without looking, until so many queues are marked.
fn await_marks(consumer: &Consumer, count: usize) {
    let until = Instant::now() + Duration::from_secs(20);
    while marked(consumer).len() < count {
        assert!(Instant::now() < until, "{:?}", marked(consumer));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn only_queues_with_news_are_visited() {
    let (queues, consumer) = consumer("news");
    assert!(marked(&consumer).is_empty());
    push(&queues[7], "job");
    await_marks(&consumer, 1);
    assert_eq!(marked(&consumer), [7]);
    let job = next(&consumer).unwrap();
    assert_eq!(job.name(), "job");
    assert_eq!(marked(&consumer), [7], "it may have more");
    job.ack(&wait()).unwrap();
    let soon = Wait::uninterrupted(Duration::from_millis(10));
    assert!(consumer.next(&soon).unwrap().is_none());
    assert!(marked(&consumer).is_empty());
}

#[test]
fn queues_with_jobs_are_served_in_turn() {
    let (queues, consumer) = consumer("turn");
    for queue in [3, 5, 11] {
        (0..3).for_each(|_| push(&queues[queue], &queue.to_string()));
    }
    await_marks(&consumer, 3);
    // By then, all have arrived.
    std::thread::sleep(Duration::from_millis(100));
    let names: Vec<_> = (0..9)
        .map(|_| next(&consumer).unwrap().name().to_string())
        .collect();
    let (first, rest) = names.split_at(3);
    assert!(rest.chunks(3).all(|round| round == first), "{names:?}");
    let mut first = first.to_vec();
    first.sort();
    assert_eq!(first, ["11", "3", "5"]);
}

#[test]
fn pauses_and_closes_are_noticed_without_a_mark() {
    let (queues, consumer) = consumer("pauses");
    queues[4].set_paused(true);
    push(&queues[4], "paused");
    push(&queues[9], "job");
    assert_eq!(next(&consumer).unwrap().name(), "job");
    let soon = Wait::uninterrupted(Duration::from_millis(50));
    assert!(consumer.next(&soon).unwrap().is_none());
    queues[4].set_paused(false);
    assert_eq!(next(&consumer).unwrap().name(), "paused");
    consumer.close(&wait()).unwrap();
    assert!(!consumer.is_attached());
    // What was not settled comes again, after it is attached again.
    let names = [next(&consumer), next(&consumer)].map(|job| job.unwrap().name().to_string());
    assert!(names.contains(&"job".to_owned()) && names.contains(&"paused".to_owned()));
}
