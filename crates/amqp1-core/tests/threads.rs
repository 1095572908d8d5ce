//! Threads share connections: each waits for its own answers, and whichever reads serves all.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/brokers.rs"]
mod environment;

use std::borrow::Cow;
use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use amqp1_core::{Consumer, ConsumerOptions, Job, JobOptions, Payload, Queue, QueueOptions, Wait};

const THREADS: usize = 4;
const JOBS: usize = 150;

fn queue(dsn: &str, name: &str) -> Queue {
    Queue::new(dsn, Some(name), QueueOptions::default()).unwrap()
}

fn push(queue: &Queue, payload: String) {
    let job = Job {
        name: Cow::Borrowed("job"),
        payload: Payload {
            bytes: Cow::Owned(payload.into_bytes()),
            json: false,
            keep: None,
        },
        options: JobOptions::default(),
    };
    // Far more than the answer takes, and less than what hides a wake-up that was missed.
    let wait = Wait::uninterrupted(Duration::from_secs(20));
    queue.push(&job, &wait).unwrap();
}

/// Each thread pushes to one queue while it consumes another, so that confirmations and deliveries
/// cross.
#[test]
fn each_thread_gets_its_answers_whoever_reads_them() {
    let mut dsns = vec!["embedded://threads".to_owned()];
    dsns.extend(environment::rabbitmq().into_iter().map(|(_, dsn)| dsn));
    for dsn in dsns {
        println!("on {dsn}");
        let name = format!("threads-{}", amqp1_core::id::job_id().unwrap());
        let threads: Vec<_> = (0..THREADS)
            .map(|own| {
                let (dsn, name) = (dsn.clone(), name.clone());
                thread::spawn(move || run(&dsn, &name, own))
            })
            .collect();
        let all: HashSet<String> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(all.len(), THREADS * JOBS);
    }
}

fn run(dsn: &str, name: &str, own: usize) -> Vec<String> {
    let ours = queue(dsn, &format!("{name}-{own}"));
    let next = queue(dsn, &format!("{name}-{}", (own + 1) % THREADS));
    let options = ConsumerOptions {
        prefetch: Some(3),
        ..ConsumerOptions::default()
    };
    let consumer = Consumer::new(vec![ours.clone()], options).unwrap();
    let mut got = Vec::new();
    let mut take = |wait: Wait<'_>| {
        if let Some(job) = consumer.next(&wait).unwrap() {
            got.push(String::from_utf8(job.body().to_vec()).unwrap());
            job.ack(&wait).unwrap();
        }
        got.len()
    };
    for number in 0..JOBS {
        push(&next, format!("{own}-{number}"));
        take(Wait::uninterrupted(Duration::from_millis(1)));
    }
    while take(Wait::uninterrupted(Duration::from_secs(20))) < JOBS {}
    consumer
        .close(&Wait::uninterrupted(Duration::from_secs(20)))
        .unwrap();
    got
}
