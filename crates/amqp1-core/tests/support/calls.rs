//! Calls of the client that must end in time, whatever their broker does.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Once;
use std::time::{Duration, Instant};

use amqp1_core::{
    Consumer, ConsumerOptions, Delivery, Error, Job, JobOptions, Payload, Queue, QueueOptions, Wait,
};
use fe2o3_amqp_types::definitions::{AmqpError, Error as Condition};

use super::peer::Peer;

/// Calls have a timeout of one second; they must have ended after this much more.
pub const TOO_LONG: Duration = Duration::from_secs(6);

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts panics of the client's own threads, but not of the test's threads.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() == Some("amqp1") {
                PANICS.fetch_add(1, Ordering::Relaxed);
            }
            before(info);
        }));
    });
}

pub fn queue(dsn: &str) -> Queue {
    let options = Queue::options_of(dsn, QueueOptions::default()).unwrap();
    Queue::new(dsn, Some("hostile"), options).unwrap()
}

pub fn second() -> Wait<'static> {
    Wait::uninterrupted(Duration::from_secs(1))
}

pub fn job() -> Job<'static> {
    Job {
        name: Cow::Borrowed("Job"),
        payload: Payload {
            bytes: Cow::Borrowed(b"payload"),
            json: false,
            keep: None,
        },
        options: JobOptions::default(),
    }
}

/// Runs a call, and checks that it ends in time and harms nothing.
pub fn bounded<T>(what: &str, call: impl FnOnce() -> T) -> T {
    watch();
    let begun = Instant::now();
    let result = call();
    let took = begun.elapsed();
    assert!(took < TOO_LONG, "{what}: it took {took:?}");
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "{what}: a panic");
    result
}

pub fn good_broker_still_works(what: &str) {
    let queue = queue("embedded://hostile");
    // One thread moves all connections' bytes, and other tests keep it busy at the same time.
    let wait = Wait::uninterrupted(Duration::from_secs(20));
    queue.push(&job(), &wait).expect(what);
}

pub fn push(what: &str, peer: &Peer) -> Result<String, Error> {
    push_within(what, peer, Duration::from_secs(1))
}

pub fn push_within(what: &str, peer: &Peer, time: Duration) -> Result<String, Error> {
    let wait = Wait::uninterrupted(time);
    let result = bounded(what, || queue(&peer.dsn).push(&job(), &wait));
    good_broker_still_works(what);
    result
}

/// Everything that one consumer gets within a second.
pub fn consume(what: &str, peer: &Peer, prefetch: u32) -> Result<Vec<Rc<Delivery>>, Error> {
    consume_some(what, peer, prefetch, usize::MAX)
}

/// The jobs that one consumer gets, until there are `enough`.
pub fn consume_some(
    what: &str,
    peer: &Peer,
    prefetch: u32,
    enough: usize,
) -> Result<Vec<Rc<Delivery>>, Error> {
    let options = ConsumerOptions {
        prefetch: Some(prefetch),
        ..ConsumerOptions::default()
    };
    let wait = match enough {
        usize::MAX => second(),
        _ => Wait::uninterrupted(Duration::from_secs(5)),
    };
    let consumer = Consumer::new(vec![queue(&peer.dsn)], options).unwrap();
    let mut got = Vec::new();
    let result = bounded(what, || loop {
        match consumer.next(&wait) {
            Ok(Some(delivery)) => got.push(delivery),
            Ok(None) => return Ok(()),
            Err(error) => return Err(error),
        }
        if got.len() >= enough || wait.left().is_zero() {
            return Ok(());
        }
    });
    good_broker_still_works(what);
    result.map(|()| got)
}

/// Lists in lists, for the properties of an `open`.
pub fn nested(levels: usize) -> Vec<u8> {
    let mut value = vec![0x40];
    for _ in 0..levels {
        let mut outer = vec![0xd0];
        outer.extend_from_slice(&(value.len() as u32 + 4).to_be_bytes());
        outer.extend_from_slice(&1u32.to_be_bytes());
        outer.extend_from_slice(&value);
        value = outer;
    }
    value
}

pub fn condition() -> Option<Condition> {
    Some(Condition::new(
        AmqpError::InternalError,
        Some("on purpose".to_owned()),
        None,
    ))
}
