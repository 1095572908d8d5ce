//! The behaviour that every broker must show, tested on the embedded one and each RabbitMQ 4 in the
//! environment.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/brokers.rs"]
mod environment;

use std::borrow::Cow;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use amqp1_core::{
    Consumer, ConsumerOptions, Delivery, ErrorKind, HeaderValue, Input, Job, JobOptions, Payload,
    Queue, QueueOptions, Wait,
};

fn wait() -> Wait<'static> {
    Wait::uninterrupted(Duration::from_secs(20))
}

fn soon() -> Wait<'static> {
    Wait::uninterrupted(Duration::from_millis(300))
}

/// Runs a test on every available broker.
fn each(test: impl Fn(&str, &str)) {
    let mut dsns = vec!["embedded://contract".to_owned()];
    dsns.extend(environment::rabbitmq().into_iter().map(|(_, dsn)| dsn));
    for dsn in dsns {
        println!("on {dsn}");
        test(&dsn, &format!("core-{}", amqp1_core::id::job_id().unwrap()));
    }
}

fn queue(dsn: &str, name: &str) -> Queue {
    Queue::new(dsn, Some(name), QueueOptions::default()).unwrap()
}

fn with(dsn: &str, name: &str, options: &[(&str, Input)]) -> Queue {
    let map = options
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    let options = QueueOptions::default()
        .apply("options", &Input::Map(map.collect()))
        .unwrap();
    Queue::new(dsn, Some(name), options).unwrap()
}

fn job(name: &str, payload: &[u8]) -> Job<'static> {
    Job {
        name: Cow::Owned(name.to_owned()),
        payload: Payload {
            bytes: Cow::Owned(payload.to_vec()),
            json: false,
            keep: None,
        },
        options: JobOptions::default(),
    }
}

fn consumer(queue: &Queue, prefetch: u32) -> Consumer {
    let options = ConsumerOptions {
        prefetch: Some(prefetch),
        ..ConsumerOptions::default()
    };
    Consumer::new(vec![queue.clone()], options).unwrap()
}

fn next(consumer: &Consumer) -> Rc<Delivery> {
    consumer.next(&wait()).unwrap().expect("a job in time")
}

#[test]
fn a_job_goes_there_and_back() {
    each(|dsn, name| {
        let queue = queue(dsn, name);
        let mut pushed = job("Hello", &(0..=255).collect::<Vec<u8>>());
        pushed.options.headers = vec![("tenant".into(), HeaderValue::Text("a".into()))];
        pushed.options.trace_id = Some("trace".into());
        let id = queue.push(&pushed, &wait()).unwrap();
        assert_eq!(queue.count(&wait()).unwrap(), 1);
        let consumer = consumer(&queue, 10);
        let delivery = next(&consumer);
        assert_eq!(delivery.id(), id);
        assert_eq!(delivery.name(), "Hello");
        assert_eq!(delivery.body(), &pushed.payload.bytes[..]);
        assert_eq!(delivery.attempts(), 1);
        assert_eq!(delivery.trace_id(), Some("trace".into()));
        let (header, _) = delivery.headers().iter().next().unwrap();
        assert_eq!(header, "tenant");
        delivery.ack(&wait()).unwrap();
        assert!(delivery.is_completed());
        assert!(consumer.next(&soon()).unwrap().is_none());
        consumer.close(&wait()).unwrap();
        assert_eq!(queue.count(&wait()).unwrap(), 0);
    });
}

#[test]
fn a_batch_keeps_its_order_and_none_comes_twice() {
    each(|dsn, name| {
        const COUNT: usize = 5_000;
        let queue = queue(dsn, name);
        let mut batch = queue.batch();
        for index in 0..COUNT {
            batch
                .add(&job("n", index.to_string().as_bytes()), &wait())
                .unwrap();
        }
        let report = batch.finish(&wait()).unwrap();
        assert!(report.failures.is_empty(), "{:?}", report.failures);
        assert_eq!(report.ids.iter().collect::<HashSet<_>>().len(), COUNT);
        let consumer = consumer(&queue, 200);
        for index in 0..COUNT {
            let delivery = next(&consumer);
            assert_eq!(delivery.body(), index.to_string().as_bytes());
            delivery.ack(&wait()).unwrap();
        }
        assert!(consumer.next(&soon()).unwrap().is_none());
    });
}

#[test]
fn a_large_job_goes_there_and_back() {
    each(|dsn, name| {
        let queue = queue(dsn, name);
        let body: Vec<u8> = (0..10_000_000_u32).map(|n| (n % 251) as u8).collect();
        queue.push(&job("large", &body), &wait()).unwrap();
        let delivery = next(&consumer(&queue, 1));
        assert!(delivery.body() == &body[..]);
    });
}

#[test]
fn what_is_given_back_comes_again_and_is_counted() {
    each(|dsn, name| {
        let queue = queue(dsn, name);
        queue.push(&job("again", b"x"), &wait()).unwrap();
        let consumer = consumer(&queue, 5);
        let delivery = next(&consumer);
        delivery.nack(None, None, &wait()).unwrap();
        let delivery = next(&consumer);
        assert_eq!(delivery.attempts(), 2);
        let headers = [(Cow::Borrowed("try"), HeaderValue::Int(2))];
        delivery
            .release(Duration::from_millis(700), &headers, None, &wait())
            .unwrap();
        let released = Instant::now();
        let delivery = next(&consumer);
        assert!(released.elapsed() >= Duration::from_millis(690));
        assert_eq!(delivery.attempts(), 3);
        let (_, values) = delivery.headers().iter().next().unwrap();
        assert_eq!(values.iter().collect::<Vec<_>>(), ["2"]);
        delivery
            .dead_letter("failed", None, Some("no good"), &wait())
            .unwrap();
        delivery.ack(&wait()).unwrap();
        assert!(consumer.next(&soon()).unwrap().is_none());
        let failed = Queue::new(
            dsn,
            Some(&format!("{name}.failed")),
            QueueOptions::default(),
        )
        .unwrap();
        let consumer = Consumer::new(vec![failed], ConsumerOptions::default()).unwrap();
        let delivery = next(&consumer);
        let headers = delivery.headers();
        assert_eq!(delivery.name(), "again");
        assert!(!headers.is_empty());
    });
}

#[test]
fn a_delay_is_kept_and_holds_up_nobody() {
    each(|dsn, name| {
        let queue = queue(dsn, name);
        let start = Instant::now();
        for millis in [4_000, 1_200] {
            let mut delayed = job("later", millis.to_string().as_bytes());
            delayed.options.delay = Some(Duration::from_millis(millis));
            queue.push(&delayed, &wait()).unwrap();
        }
        queue.push(&job("now", b"0"), &wait()).unwrap();
        assert_eq!(queue.stats(&wait()).unwrap().delayed, Some(2));
        let consumer = consumer(&queue, 5);
        for millis in [0, 1_200, 4_000] {
            let delivery = next(&consumer);
            assert_eq!(delivery.body(), millis.to_string().as_bytes());
            assert!(start.elapsed() >= Duration::from_millis(millis));
            delivery.ack(&wait()).unwrap();
        }
    });
}

#[test]
fn what_is_buffered_goes_to_the_next_consumer_at_once() {
    each(|dsn, name| {
        let queue = queue(dsn, name);
        for index in 0..6 {
            queue.push(&job("n", &[index]), &wait()).unwrap();
        }
        let first = consumer(&queue, 6);
        let held = next(&first);
        first.pause().unwrap();
        let second = consumer(&queue, 6);
        for _ in 0..5 {
            next(&second).ack(&wait()).unwrap();
        }
        held.ack(&wait()).unwrap();
        first.close(&wait()).unwrap();
        second.close(&wait()).unwrap();
        assert_eq!(queue.count(&wait()).unwrap(), 0);
    });
}

#[test]
fn a_missing_queue_is_named_and_the_next_push_works() {
    each(|dsn, name| {
        if dsn.starts_with("embedded") {
            return; // Its queues are made on first use.
        }
        let missing = with(dsn, name, &[("declare", Input::Bool(false))]);
        let error = missing.push(&job("x", b""), &wait()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QueueNotFound, "{error}");
        assert!(error.message().contains(name), "{error}");
        let consumer = consumer(&missing, 1);
        let error = consumer.next(&wait()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QueueNotFound, "{error}");
        queue(dsn, name).push(&job("x", b""), &wait()).unwrap();
        missing.push(&job("x", b""), &wait()).unwrap();
    });
}

#[test]
fn an_unroutable_job_is_told_and_the_next_push_works() {
    each(|dsn, name| {
        let exchange = format!("x {name}/ü");
        let options = [
            ("exchange", Input::Text(exchange)),
            ("exchange_type", Input::Text("topic".to_owned())),
            ("routing_key", Input::Text("a.b".to_owned())),
        ];
        let queue = with(dsn, &format!("q {name}/ü%"), &options);
        queue.setup(&wait()).unwrap();
        let mut lost = job("lost", b"");
        lost.options.routing_key = Some("nowhere".into());
        let error = queue.push(&lost, &wait()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unroutable, "{error}");
        queue.push(&job("found", b""), &wait()).unwrap();
        assert_eq!(next(&consumer(&queue, 1)).name(), "found");
    });
}

#[test]
fn a_deleted_exchange_or_setup_twice_is_no_trouble() {
    each(|dsn, name| {
        let queue = with(
            dsn,
            name,
            &[("queue_type", Input::Text("classic".to_owned()))],
        );
        queue.setup(&wait()).unwrap();
        queue.setup(&wait()).unwrap();
        queue.push(&job("x", b""), &wait()).unwrap();
        assert_eq!(queue.purge(&wait()).unwrap(), 1);
        let other = with(
            dsn,
            name,
            &[("queue_type", Input::Text("quorum".to_owned()))],
        );
        if !dsn.starts_with("embedded") {
            let error = other.setup(&wait()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        }
        assert!(queue.ping(&wait()).unwrap() < Duration::from_secs(5));
    });
}

#[test]
fn wrong_credentials_and_dead_hosts_are_told_apart() {
    for (_, dsn) in environment::rabbitmq() {
        let mut wrong = url::Url::parse(&dsn).unwrap();
        wrong.set_password(Some("s3cret")).unwrap();
        let error = queue(wrong.as_str(), "q")
            .push(&job("x", b""), &wait())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
        assert!(!error.message().contains("s3cret"), "{error}");
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("amqp://u:s3cret@{}", listener.local_addr().unwrap());
    let start = Instant::now();
    let error = queue(&silent, "q")
        .push(&job("x", b""), &soon())
        .unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(error.message().contains("127.0.0.1"), "{error}");
    drop(listener);
    let error = queue(&silent, "q")
        .push(&job("x", b""), &wait())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
}

/// If two clients declare at once, RabbitMQ ends the management session of one. Each thread calls
/// `count()`, which declares the queue. Nobody pushes before all are done, because RabbitMQ 4.0 may
/// never confirm a job that arrives while a queue is being created.
#[test]
fn many_that_declare_the_same_queue_at_once_all_succeed() {
    each(|dsn, name| {
        for round in 0..8 {
            let name = &format!("{name}-{round}");
            let start = std::sync::Barrier::new(6);
            std::thread::scope(|scope| {
                for index in 0..6 {
                    let start = &start;
                    scope.spawn(move || {
                        // Its own container-id gives it its own connection.
                        let container = Input::Text(format!("declare-{index}"));
                        let queue = with(dsn, name, &[("container_id", container)]);
                        queue.ping(&wait()).unwrap();
                        start.wait();
                        assert_eq!(queue.count(&wait()).unwrap(), 0);
                    });
                }
            });
            let queue = queue(dsn, name);
            queue.push(&job("x", b""), &wait()).unwrap();
            assert_eq!(queue.count(&wait()).unwrap(), 1);
        }
    });
}
