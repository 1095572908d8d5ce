//! RabbitMQ's delayed-message exchange, whose plugin Debian does not package. Tested on the test
//! broker, which answers like the plugin.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::borrow::Cow;
use std::time::{Duration, Instant};

use amqp1_broker::rabbitmq::RabbitMq;
use amqp1_broker::{Broker, Options};
use amqp1_core::{
    Consumer, ConsumerOptions, ErrorKind, Input, Job, JobOptions, Payload, Queue, QueueOptions,
    Wait,
};

fn wait() -> Wait<'static> {
    Wait::uninterrupted(Duration::from_secs(20))
}

fn queue(dsn: &str, declare: bool) -> Queue {
    let text = |text: &str| Input::Text(text.to_owned());
    let options = [
        ("exchange", text("later")),
        ("exchange_type", text("x-delayed-message")),
        ("routing_key", text("key")),
        ("declare", Input::Bool(declare)),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let options = QueueOptions::default()
        .apply("options", &Input::Map(options.to_vec()))
        .unwrap();
    Queue::new(dsn, Some("jobs"), options).unwrap()
}

fn job(delay: Duration) -> Job<'static> {
    Job {
        name: Cow::Borrowed("later"),
        payload: Payload {
            bytes: Cow::Borrowed(b"x"),
            json: false,
            keep: None,
        },
        options: JobOptions {
            delay: Some(delay),
            ..JobOptions::default()
        },
    }
}

#[test]
fn released_means_taken_when_a_binding_is_there() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let dsn = format!("amqp://{}", listener.local_addr().unwrap());
    let broker = Broker::with_options(
        "plugin",
        Options {
            rabbitmq: RabbitMq {
                pose_as: Some(("RabbitMQ".to_owned(), "4.3.0".to_owned())),
                ..RabbitMq::default()
            },
            ..Options::default()
        },
    );
    runtime.spawn({
        let broker = broker.clone();
        async move { broker.listen(listener).await }
    });

    // No queue is bound: `released` alone would not show it.
    let unbound = queue(&dsn, false);
    let error = unbound
        .push(&job(Duration::from_millis(800)), &wait())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unroutable, "{error}");

    let queue = queue(&dsn, true);
    assert_eq!(queue.broker(&wait()).unwrap().dialect, "rabbitmq4");
    queue.setup(&wait()).unwrap();
    let start = Instant::now();
    queue
        .push(&job(Duration::from_millis(800)), &wait())
        .unwrap();
    queue.push(&job(Duration::ZERO), &wait()).unwrap();
    let counts = broker.queue_counts("jobs").unwrap();
    assert_eq!((counts.ready, counts.delayed), (1, 1));
    let consumer = Consumer::new(vec![queue], ConsumerOptions::default()).unwrap();
    for after in [Duration::ZERO, Duration::from_millis(800)] {
        let delivery = consumer.next(&wait()).unwrap().expect("a job");
        assert!(start.elapsed() >= after);
        delivery.ack(&wait()).unwrap();
    }
    // No delay queue was created, because the plugin is used.
    assert_eq!(broker.queue_names(), ["jobs"]);
}
