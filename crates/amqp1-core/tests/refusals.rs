//! A permanent refusal by the broker is an error at once, with the reason. A connection that breaks
//! repeatedly does not outlast a call.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
#[path = "support/calls.rs"]
mod calls;
#[allow(dead_code)]
#[path = "support/peer.rs"]
mod peer;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use amqp1_core::wire::frame::Frame;
use amqp1_core::{Consumer, ConsumerOptions, ErrorKind, Queue, QueueOptions, Wait};
use calls::{job, queue};
use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp_types::definitions::{AmqpError, Error, ErrorCondition, Handle, LinkError, Role};
use fe2o3_amqp_types::performatives::{Close, Detach, End};
use peer::{begin, flow, written, Peer, Talk};

fn because(condition: impl Into<ErrorCondition>) -> Option<Error> {
    Some(Error::new(condition, Some("the reason".to_owned()), None))
}

/// Long enough to distinguish a retry that ends at this deadline from an answer.
fn long() -> Wait<'static> {
    Wait::uninterrupted(Duration::from_secs(30))
}

fn refusals() -> Vec<(ErrorCondition, ErrorKind)> {
    use AmqpError::{
        DecodeError, InvalidField, NotAllowed, NotImplemented, PreconditionFailed, ResourceLocked,
        UnauthorizedAccess,
    };
    vec![
        (PreconditionFailed.into(), ErrorKind::Rejected),
        (InvalidField.into(), ErrorKind::Rejected),
        (DecodeError.into(), ErrorKind::Rejected),
        (ResourceLocked.into(), ErrorKind::Rejected),
        (AmqpError::ResourceLimitExceeded.into(), ErrorKind::Rejected),
        (LinkError::MessageSizeExceeded.into(), ErrorKind::Rejected),
        (NotAllowed.into(), ErrorKind::Unsupported),
        (NotImplemented.into(), ErrorKind::Unsupported),
        (UnauthorizedAccess.into(), ErrorKind::Authentication),
    ]
}

/// Attaches each requested link, and detaches it with `condition`: at once, or after a message.
/// Counts the attaches.
fn detaching(condition: ErrorCondition, after_message: bool) -> (Peer, Arc<AtomicUsize>) {
    let attaches = Arc::new(AtomicUsize::new(0));
    let count = attaches.clone();
    let peer = Peer::start(move |talk| {
        talk.handshake()?;
        loop {
            match talk.hear()? {
                Frame::Other(body) => match *body {
                    FrameBody::Begin(_) => talk.say(talk.channel, &begin(talk.channel))?,
                    FrameBody::End(_) => talk.say(talk.channel, &End { error: None })?,
                    FrameBody::Attach(attach) => {
                        count.fetch_add(1, Ordering::Relaxed);
                        talk.link = (attach.role, attach.name);
                        let mut answer = talk.attach();
                        if !after_message {
                            (answer.source, answer.target) = (None, None);
                        }
                        talk.say(talk.channel, &answer)?;
                        match after_message {
                            true => talk.say(talk.channel, &flow(10))?,
                            false => detach(talk, &condition)?,
                        }
                    }
                    _ => {}
                },
                Frame::Transfer(..) => detach(talk, &condition)?,
                _ => {}
            }
        }
    });
    (peer, attaches)
}

fn detach(talk: &mut Talk, condition: &ErrorCondition) -> Option<()> {
    let detach = Detach {
        handle: Handle(3),
        closed: true,
        error: because(condition.clone()),
    };
    talk.say(talk.channel, &detach)
}

#[test]
fn a_link_that_is_refused_for_good_is_an_error_at_once() {
    for (condition, kind) in refusals() {
        for after_message in [false, true] {
            let what = format!("{condition:?}, after a message: {after_message}");
            let (peer, attaches) = detaching(condition.clone(), after_message);
            let error = queue(&peer.dsn).push(&job(), &long()).expect_err(&what);
            assert_eq!(error.kind(), kind, "{what}: {error}");
            assert!(error.message().contains("the reason"), "{what}: {error}");
            assert!(error.message().contains("'hostile'"), "{what}: {error}");
            assert_eq!(attaches.load(Ordering::Relaxed), 1, "{what}");
        }
    }
}

#[test]
fn a_consumers_link_that_is_refused_for_good_is_an_error_at_once() {
    for (condition, kind) in refusals() {
        let what = format!("{condition:?}");
        let (peer, attaches) = detaching(condition, false);
        let consumer = Consumer::new(vec![queue(&peer.dsn)], ConsumerOptions::default()).unwrap();
        let error = consumer.next(&long()).expect_err(&what);
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert!(error.message().contains("the reason"), "{what}: {error}");
        assert_eq!(attaches.load(Ordering::Relaxed), 1, "{what}");
    }
}

/// Closes each connection with `condition` as soon as a link is attached.
fn closing(condition: ErrorCondition) -> Peer {
    Peer::start(move |talk| {
        talk.attached(10)?;
        if talk.link.0 == Role::Sender {
            while !matches!(talk.hear()?, Frame::Transfer(..)) {}
        }
        let close = Close {
            error: because(condition.clone()),
        };
        talk.say(0, &close)?;
        talk.wait()
    })
}

/// With a timeout and a reconnection time far beyond each call's own.
fn patient(peer: &Peer) -> Queue {
    named(peer, "hostile")
}

fn named(peer: &Peer, name: &str) -> Queue {
    let dsn = peer.dsn.split('?').next().unwrap();
    let dsn = format!("{dsn}?declare=false&timeout=30&redial_timeout=60");
    let options = Queue::options_of(&dsn, QueueOptions::default()).unwrap();
    Queue::new(&dsn, Some(name), options).unwrap()
}

#[test]
fn a_connection_that_is_closed_for_one_job_is_tried_once_more() {
    let peer = closing(AmqpError::DecodeError.into());
    let error = patient(&peer).push(&job(), &long()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(error.message().contains("the reason"), "{error}");
    assert_eq!(peer.connections(), 2);
}

#[test]
fn a_connection_that_is_closed_again_and_again_does_not_outlast_the_call() {
    let peer = closing(AmqpError::InternalError.into());
    let consumer = Consumer::new(vec![patient(&peer)], ConsumerOptions::default()).unwrap();
    for call in 1..=3 {
        let begun = Instant::now();
        let wait = Wait::uninterrupted(Duration::from_millis(1500));
        let error = consumer.next(&wait).expect_err("the broker's reason");
        assert_eq!(error.kind(), ErrorKind::Connection, "{call}: {error}");
        assert!(error.message().contains("the reason"), "{call}: {error}");
        assert!(error.message().contains("'hostile'"), "{call}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(6), "{call}");
    }
}

#[test]
fn a_link_that_is_refused_again_and_again_does_not_outlast_the_call() {
    let (peer, attaches) = detaching(AmqpError::InternalError.into(), false);
    let consumer = Consumer::new(vec![patient(&peer)], ConsumerOptions::default()).unwrap();
    let wait = Wait::uninterrupted(Duration::from_millis(1500));
    let begun = Instant::now();
    let error = consumer.next(&wait).unwrap_err();
    assert!(error.message().contains("the reason"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{error}");
    assert!(attaches.load(Ordering::Relaxed) > 2, "it may pass");
}

#[test]
fn a_connection_that_is_refused_for_good_is_so_at_once_the_next_time_too() {
    let peer = closing(AmqpError::NotFound.into());
    for call in 1..=6 {
        let begun = Instant::now();
        let error = patient(&peer).push(&job(), &long()).unwrap_err();
        assert!(error.message().contains("the reason"), "{call}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{call}");
    }
}

#[test]
fn a_reason_that_is_no_utf8_is_told() {
    let peer = Peer::start(|talk| {
        talk.attached(10)?;
        let close = Close {
            error: because(AmqpError::NotAllowed),
        };
        let mut bytes = written(0, &close, b"");
        let at = bytes.windows(10).position(|part| part == b"the reason")?;
        bytes[at + 3] = 0xff;
        talk.raw(&bytes)?;
        talk.wait()
    });
    let error = patient(&peer).push(&job(), &long()).unwrap_err();
    assert!(error.message().contains("the?reason"), "{error}");
}

/// The first connection is closed with all its links; the later ones are good.
#[test]
fn one_lost_connection_of_many_queues_is_one_loss() {
    let connections = AtomicUsize::new(0);
    let peer = Peer::start(move |talk| {
        let is_first = connections.fetch_add(1, Ordering::Relaxed) == 0;
        let mut links = 0;
        talk.handshake()?;
        loop {
            let Frame::Other(body) = talk.hear()? else {
                continue;
            };
            match *body {
                FrameBody::Begin(_) => talk.say(talk.channel, &begin(talk.channel))?,
                FrameBody::Attach(attach) => {
                    talk.link = (attach.role, attach.name);
                    let answer = talk.attach();
                    talk.say(talk.channel, &answer)?;
                    links += 1;
                }
                _ => {}
            }
            if is_first && links == 3 {
                let close = Close {
                    error: because(AmqpError::ResourceLimitExceeded),
                };
                // When all of them are attached.
                std::thread::sleep(Duration::from_millis(100));
                talk.say(0, &close)?;
                return talk.wait();
            }
        }
    });
    let queues = ["a", "b", "c"].map(|name| named(&peer, name));
    let consumer = Consumer::new(queues.to_vec(), ConsumerOptions::default()).unwrap();
    let wait = Wait::uninterrupted(Duration::from_millis(1500));
    assert!(consumer.next(&wait).unwrap().is_none());
    assert_eq!(peer.connections(), 2);
}

#[test]
fn a_reason_that_will_not_pass_is_told_when_it_comes_again() {
    let peer = closing(AmqpError::NotAllowed.into());
    let consumer = Consumer::new(vec![patient(&peer)], ConsumerOptions::default()).unwrap();
    let error = consumer.next(&long()).unwrap_err();
    assert!(error.message().contains("the reason"), "{error}");
    assert_eq!(peer.connections(), 2);
}
