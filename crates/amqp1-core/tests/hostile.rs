//! A hostile broker: whatever it says, each call ends in time, in a typed error or
//! well; nothing panics; memory stays bounded; the next call, on a good broker, works.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/peer.rs"]
mod peer;

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Once;
use std::time::{Duration, Instant};

use amqp1_core::{
    Consumer, ConsumerOptions, Delivery, Error, ErrorKind, Job, JobOptions, Payload, Queue,
    QueueOptions, Wait,
};
use fe2o3_amqp_types::definitions::{AmqpError, Error as Condition, Handle, Role};
use fe2o3_amqp_types::performatives::{Close, Detach, Disposition, End};
use peer::{begin, flow, message, open, written, Peer, Talk, AMQP, MECHANISMS, OUTCOME, SASL};

/// Calls have a timeout of one second; so much later they must have ended.
const TOO_LONG: Duration = Duration::from_secs(6);

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts panics of the client's own threads. The test's own are the test's.
fn watch() {
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

fn queue(dsn: &str) -> Queue {
    let options = Queue::options_of(dsn, QueueOptions::default()).unwrap();
    Queue::new(dsn, Some("hostile"), options).unwrap()
}

fn second() -> Wait<'static> {
    Wait::uninterrupted(Duration::from_secs(1))
}

fn job() -> Job<'static> {
    Job {
        name: Cow::Borrowed("Job"),
        payload: Payload {
            bytes: Cow::Borrowed(b"payload"),
            json: false,
        },
        options: JobOptions::default(),
    }
}

/// Runs a call, and sees to it that it ends in time and harms nothing.
fn bounded<T>(what: &str, call: impl FnOnce() -> T) -> T {
    watch();
    let begun = Instant::now();
    let result = call();
    let took = begun.elapsed();
    assert!(took < TOO_LONG, "{what}: it took {took:?}");
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "{what}: a panic");
    result
}

fn good_broker_still_works(what: &str) {
    let queue = queue("embedded://hostile");
    // One thread moves all connections' bytes; other tests keep it busy meanwhile.
    let wait = Wait::uninterrupted(Duration::from_secs(20));
    queue.push(&job(), &wait).expect(what);
}

fn push(what: &str, peer: &Peer) -> Result<String, Error> {
    let result = bounded(what, || queue(&peer.dsn).push(&job(), &second()));
    good_broker_still_works(what);
    result
}

/// All that one consumer gets within a second.
fn consume(what: &str, peer: &Peer, prefetch: u32) -> Result<Vec<Delivery>, Error> {
    consume_some(what, peer, prefetch, usize::MAX)
}

/// What one consumer gets, `enough` if it gets so many.
fn consume_some(
    what: &str,
    peer: &Peer,
    prefetch: u32,
    enough: usize,
) -> Result<Vec<Delivery>, Error> {
    let options = ConsumerOptions {
        prefetch: Some(prefetch),
        ..ConsumerOptions::default()
    };
    let consumer = Consumer::new(vec![queue(&peer.dsn)], options).unwrap();
    let wait = match enough {
        usize::MAX => second(),
        _ => Wait::uninterrupted(TOO_LONG - Duration::from_secs(1)),
    };
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

fn is_typed(error: &Error) -> bool {
    use ErrorKind::{Authentication, Connection, QueueNotFound, Rejected, Timeout};
    matches!(
        error.kind(),
        Connection | Timeout | Authentication | QueueNotFound | Rejected
    ) && error.message().len() > 10
}

/// A frame around a body of any bytes.
fn frame(body: &[u8]) -> Vec<u8> {
    let mut out = (body.len() as u32 + 8).to_be_bytes().to_vec();
    out.extend_from_slice(&[2, 0, 0, 0]);
    out.extend_from_slice(body);
    out
}

/// Lists in lists, as the properties of an `open`.
fn nested(levels: usize) -> Vec<u8> {
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

/// What is no frame, or no performative, or a wrong one.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let deep = [&[0x00, 0x53, 0x10][..], &nested(2000)].concat();
    let array = [
        0x00, 0x53, 0x10, 0xc0, 0x0c, 1, 0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x41,
    ];
    vec![
        ("nonsense", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("zeros", vec![0; 64]),
        (
            "a frame shorter than its header",
            vec![0, 0, 0, 7, 2, 0, 0, 0],
        ),
        ("an absurd size", vec![0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0]),
        ("a data offset outside", vec![0, 0, 0, 8, 200, 0, 0, 0]),
        ("another frame type", vec![0, 0, 0, 8, 2, 9, 0, 0]),
        ("an unknown performative", frame(&[0x00, 0x53, 0x99, 0x45])),
        (
            "a performative cut short",
            frame(&[0x00, 0x53, 0x10, 0xd0, 0, 0, 1, 0]),
        ),
        (
            "a string that lies",
            frame(&[0x00, 0x53, 0x10, 0xc0, 6, 1, 0xb1, 0x7f, 0xff, 0xff, 0xff]),
        ),
        ("deep nesting", frame(&deep)),
        ("descriptors of descriptors", frame(&[0; 5000])),
        ("four billion items", frame(&array)),
        ("open", written(0, &open(), b"")),
        ("half a frame", vec![0, 0, 1, 0, 2, 0]),
        ("end of stream", Vec::new()),
    ]
}

/// The steps of a connection up to a confirmed push; `bytes` come in place of step `at`.
fn sabotaged(talk: &mut Talk, at: usize, bytes: &[u8]) -> Option<()> {
    use fe2o3_amqp::frames::amqp::FrameBody;
    let steps: [&dyn Fn(&mut Talk) -> Option<()>; 8] = [
        &|talk| talk.skip(8).and_then(|()| talk.raw(SASL)),
        &|talk| talk.raw(MECHANISMS),
        &|talk| talk.sasl_frame().and_then(|()| talk.raw(OUTCOME)),
        &|talk| talk.skip(8).and_then(|()| talk.raw(AMQP)),
        &|talk| {
            talk.until(|body| matches!(body, FrameBody::Open(_)))?;
            talk.say(0, &open())
        },
        &|talk| {
            talk.until(|body| matches!(body, FrameBody::Begin(_)))?;
            talk.say(0, &begin(0))
        },
        &|talk| {
            talk.until(|body| matches!(body, FrameBody::Attach(_)))?;
            let answer = talk.attach();
            talk.say(0, &answer)
        },
        &|talk| talk.say(0, &flow(10)),
    ];
    for step in &steps[..at] {
        step(talk)?;
    }
    talk.raw(bytes)?;
    match bytes.is_empty() {
        true => None,
        false => talk.wait(),
    }
}

#[test]
fn malformed_bytes_at_each_stage() {
    let stages: Vec<_> = (0..=8)
        .map(|at| {
            std::thread::spawn(move || {
                for (what, bytes) in malformed() {
                    let what = format!("{what} at stage {at}");
                    let peer = Peer::start(move |talk| sabotaged(talk, at, &bytes));
                    let error = push(&what, &peer).expect_err(&what);
                    assert!(is_typed(&error), "{what}: {error:?}");
                }
            })
        })
        .collect();
    for stage in stages {
        stage.join().unwrap();
    }
}

fn condition() -> Option<Condition> {
    Some(Condition::new(
        AmqpError::InternalError,
        Some("on purpose".to_owned()),
        None,
    ))
}

type Action = (&'static str, fn(&mut Talk) -> Option<()>);

/// What breaks the protocol, said on an attached link.
const VIOLATIONS: &[Action] = &[
    ("a second open", |talk| talk.say(0, &open())),
    ("a begin for an unknown channel", |talk| {
        talk.say(1, &begin(9))
    }),
    ("a second begin", |talk| talk.say(0, &begin(0))),
    ("a frame for an unknown channel", |talk| {
        talk.say(9, &flow(1))
    }),
    ("an attach for an unknown link", |talk| {
        talk.link.1 = "nobody".to_owned();
        let attach = talk.attach();
        talk.say(0, &attach)
    }),
    ("a transfer for an unknown handle", |talk| {
        talk.transfer(77, Some(0), false, &message(b"x"))
    }),
    ("a session that ends with an error", |talk| {
        talk.say(0, &End { error: condition() })
    }),
    ("a transfer for a session that ended", |talk| {
        talk.say(0, &End { error: None })?;
        talk.transfer(3, Some(0), false, &message(b"x"))
    }),
    ("a link that is detached", |talk| {
        let error = condition();
        talk.say(
            0,
            &Detach {
                handle: Handle(3),
                closed: true,
                error,
            },
        )
    }),
    ("a close with an error", |talk| {
        talk.say(0, &Close { error: condition() })
    }),
    ("questions without reading the answers", |talk| {
        let mut echo = flow(0);
        echo.echo = true;
        let batch = written(0, &echo, b"").repeat(1000);
        (0..10_000).try_for_each(|_| talk.raw(&batch))
    }),
];

/// What is wrong, but has to be borne.
const ODDITIES: &[Action] = &[
    ("a detach for an unknown handle", |talk| {
        talk.say(
            0,
            &Detach {
                handle: Handle(99),
                closed: true,
                error: None,
            },
        )
    }),
    ("dispositions for ids never sent", |talk| {
        for (first, last) in [
            (5, 5),
            (7, 1_000_000),
            (u32::MAX, u32::MAX),
            (1 << 31, u32::MAX),
        ] {
            let role = Role::Receiver;
            let (last, state) = (Some(last), None);
            talk.say(
                0,
                &Disposition {
                    role,
                    first,
                    last,
                    settled: true,
                    state,
                    batchable: false,
                },
            )?;
        }
        Some(())
    }),
    ("flows with absurd numbers", |talk| {
        for number in [0, 1, i32::MAX as u32, 1 << 31, u32::MAX] {
            let mut absurd = flow(0);
            absurd.next_incoming_id = Some(number);
            absurd.delivery_count = Some(number.wrapping_mul(3));
            absurd.incoming_window = u32::MAX - number;
            absurd.link_credit = Some(number.wrapping_add(2));
            absurd.drain = number > 1;
            talk.say(0, &absurd)?;
        }
        Some(())
    }),
    ("heartbeats only", |talk| {
        (0..5000).try_for_each(|_| talk.raw(&[0, 0, 0, 8, 2, 0, 0, 0]))
    }),
];

/// Runs each on a link of a publisher and of a consumer.
fn on_links(actions: &'static [Action], judge: fn(&str, Option<Error>)) {
    let threads: Vec<_> = actions
        .iter()
        .map(|(what, act)| {
            std::thread::spawn(move || {
                let script = move |talk: &mut Talk| {
                    talk.attached(0)?;
                    act(talk)?;
                    talk.wait()
                };
                let peer = Peer::start(script);
                judge(&format!("{what}, pushing"), push(what, &peer).err());
                let peer = Peer::start(script);
                judge(&format!("{what}, consuming"), consume(what, &peer, 5).err());
                assert!(peer.connections() < 500, "{what}: {}", peer.connections());
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn violations_end_in_typed_errors() {
    on_links(VIOLATIONS, |what, error| match error {
        Some(error) => assert!(is_typed(&error), "{what}: {error:?}"),
        // A consumer dials again for as long as its call lasts.
        None => assert!(what.ends_with("consuming"), "{what}: no error"),
    });
}

#[test]
fn oddities_are_borne() {
    on_links(ODDITIES, |what, error| match error {
        // There is no credit to push with; the connection is not to blame.
        Some(error) => {
            assert!(what.ends_with("pushing"), "{what}: {error}");
            assert_eq!(error.kind(), ErrorKind::Timeout, "{what}: {error}");
        }
        None => assert!(what.ends_with("consuming"), "{what}"),
    });
}

#[test]
fn deliveries_without_credit_end_the_connection() {
    let peer = Peer::start(|talk| {
        talk.attached(0)?;
        for id in 0..6 {
            talk.transfer(3, Some(id), false, &message(b"job"))?;
        }
        talk.wait()
    });
    let got = consume("six deliveries for five", &peer, 5);
    assert!(got.map_or(true, |got| got.len() % 5 == 0));
    assert!(peer.connections() > 1, "it stayed on the connection");
}

#[test]
fn gaps_in_delivery_ids_and_a_delivery_without_one() {
    let peer = Peer::start(|talk| {
        talk.attached(0)?;
        for id in [7, 1_000_000, u32::MAX, 0] {
            talk.transfer(3, Some(id), false, &message(b"job"))?;
        }
        talk.wait()
    });
    let got = consume_some("gaps", &peer, 5, 4).unwrap();
    assert_eq!(got.len(), 4);
    for delivery in &got {
        delivery.ack(&second()).unwrap();
    }
    let peer = Peer::start(|talk| {
        talk.attached(0)?;
        talk.transfer(3, None, false, &message(b"job"))?;
        talk.wait()
    });
    assert!(consume("no id", &peer, 5).map_or(true, |got| got.is_empty()));
}

#[test]
fn everything_one_byte_at_a_time() {
    let peer = Peer::start(|talk| {
        talk.trickle = true;
        talk.attached(0)?;
        talk.transfer(3, Some(0), true, &message(b"tri")[..6])?;
        talk.transfer(3, None, false, &message(b"tri")[6..])?;
        talk.wait()
    });
    let got = consume_some("trickle", &peer, 5, 1).unwrap();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].body(), b"tri");
}

#[test]
fn a_flood_of_undecodable_messages_does_not_outlast_the_deadline() {
    let peer = Peer::start(|talk| {
        talk.attached(0)?;
        // More credit than is ever used: the client renews it as it rejects.
        let mut id = 0;
        let mut reader = talk.stream.try_clone().ok()?;
        std::thread::spawn(move || {
            let mut sink = [0; 64 * 1024];
            while matches!(std::io::Read::read(&mut reader, &mut sink), Ok(1..)) {}
        });
        loop {
            talk.transfer(3, Some(id), false, b"\xffno message")?;
            id += 1;
        }
    });
    let got = consume("poison", &peer, 60_000);
    assert!(got.map_or(true, |got| got.is_empty()));
}

/// The largest resident size of this process so far, in MiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}

#[test]
fn a_delivery_without_end_is_cut_off() {
    let peer = Peer::start(|talk| {
        talk.attached(0)?;
        let payload = vec![0; 120 * 1024];
        talk.transfer(3, Some(0), true, &payload)?;
        // Four times the largest message that is taken.
        for _ in 0..4 * 512 * 1024 / 120 {
            talk.transfer(3, None, true, &payload)?;
        }
        talk.wait()
    });
    let options = ConsumerOptions::default();
    let consumer = Consumer::new(vec![queue(&peer.dsn)], options).unwrap();
    watch();
    let begun = Instant::now();
    while peer.connections() < 2 && begun.elapsed() < Duration::from_secs(20) {
        let _ = consumer.next(&second());
    }
    assert!(peer.connections() > 1, "two GiB were taken as one message");
    let peak = peak_memory();
    assert!(peak < 1500, "{peak} MiB");
    drop(consumer);
    good_broker_still_works("after a delivery without end");
}

/// An amqp-value that is well-formed for any broker, and nested beyond what is converted.
fn undecodable() -> Vec<u8> {
    [&[0x00, 0x53, 0x77][..], &nested(200)].concat()
}

#[test]
fn an_undecodable_message_is_rejected_with_the_reason_where_there_is_no_failed_queue() {
    let (told, reasons) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let peer = Peer::start(move |talk| {
        talk.attached(0)?;
        if talk.link.0 == Role::Sender {
            // The failed queue: there is none.
            let error = condition();
            talk.say(
                0,
                &Detach {
                    handle: Handle(3),
                    closed: true,
                    error,
                },
            )?;
            return talk.wait();
        }
        talk.transfer(3, Some(0), false, &undecodable())?;
        talk.transfer(3, Some(1), false, &message(b"good"))?;
        loop {
            if let amqp1_core::wire::frame::Frame::Disposition(settled) = talk.hear()? {
                told.lock().unwrap().send(settled).ok()?;
            }
        }
    });
    let got = consume_some("undecodable", &peer, 5, 1).unwrap();
    assert_eq!(got.len(), 1, "consuming goes on");
    assert_eq!(got[0].body(), b"good");
    let settled = reasons.recv_timeout(TOO_LONG).unwrap();
    let Some(amqp1_core::wire::frame::State::Rejected(Some((condition, why)))) = settled.state
    else {
        panic!("not rejected: {settled:?}");
    };
    assert_eq!(condition, "amqp:decode-error");
    assert!(why.unwrap().contains("nested too deeply"));
}

#[test]
fn an_undecodable_message_is_in_the_failed_queue_with_the_reason() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let broker = amqp1_broker::Broker::new("poisoned");
    runtime.spawn({
        let broker = broker.clone();
        async move { broker.listen(listener).await }
    });
    let queue = queue(&format!("amqp://127.0.0.1:{port}?timeout=10"));
    queue.setup(&second()).unwrap();

    // Only bare frames can say it: the client writes nothing of the kind.
    let mut talk = Talk::connect(port);
    talk.raw(AMQP).unwrap();
    talk.say(0, &open()).unwrap();
    let mut ours = begin(0);
    ours.remote_channel = None;
    talk.say(0, &ours).unwrap();
    talk.link = (Role::Receiver, "poison".to_owned());
    let mut attach = talk.attach();
    attach.target = Some(Box::new(
        fe2o3_amqp_types::messaging::TargetArchetype::Target("/queues/hostile".into()),
    ));
    talk.say(0, &attach).unwrap();
    talk.transfer(3, Some(0), false, &undecodable()).unwrap();
    talk.skip(8).unwrap();
    while !matches!(
        talk.hear(),
        Some(amqp1_core::wire::frame::Frame::Disposition(_))
    ) {}
    queue.push(&job(), &second()).unwrap();

    let consumer = Consumer::new(vec![queue.clone()], ConsumerOptions::default()).unwrap();
    let wait = Wait::uninterrupted(Duration::from_secs(10));
    let good = consumer.next(&wait).unwrap().expect("consuming goes on");
    assert_eq!(good.body(), b"payload");
    good.ack(&wait).unwrap();

    let options = QueueOptions::default();
    let failed = Queue::new(queue.endpoint(), Some("hostile.failed"), options).unwrap();
    let failed = Consumer::new(vec![failed], ConsumerOptions::default()).unwrap();
    let buried = failed.next(&wait).unwrap().expect("the poison, buried");
    assert_eq!(buried.body(), undecodable());
    let header = |wanted: &str| {
        let mut headers = buried.headers().iter();
        headers
            .find(|(name, _)| name == wanted)
            .map(|(_, values)| values[0].clone())
    };
    let _ = header;
    assert_eq!(broker.queue_counts("hostile").unwrap().ready, 0);
    buried.ack(&wait).unwrap();
}
