//! A hostile broker: whatever it sends, each call ends in time, with a typed error or successfully.
//! Nothing panics, memory stays bounded, and the next call, on a good broker, works.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
#[path = "support/calls.rs"]
mod calls;
#[allow(dead_code)]
#[path = "support/peer.rs"]
mod peer;

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use amqp1_core::{Consumer, ConsumerOptions, Error, ErrorKind, Wait};
use calls::{
    bounded, condition, consume, consume_some, good_broker_still_works, nested, push, push_within,
    queue, second, watch,
};
use fe2o3_amqp_types::definitions::{Handle, Role};
use fe2o3_amqp_types::performatives::{Close, Detach, Disposition, End};
use peer::{begin, flow, message, open, written, Peer, Talk, AMQP, MECHANISMS, OUTCOME, SASL};

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

/// Bytes that are not a frame, not a performative, or a wrong one.
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

type Step = fn(&mut Talk) -> Option<()>;

/// The steps of a connection up to a confirmed push; `bytes` replace step `at`.
fn sabotaged(talk: &mut Talk, at: usize, bytes: &[u8]) -> Option<()> {
    use fe2o3_amqp::frames::amqp::FrameBody;
    let steps: [Step; 8] = [
        |talk| talk.skip(8).and_then(|()| talk.raw(SASL)),
        |talk| talk.raw(MECHANISMS),
        |talk| talk.sasl_frame().and_then(|()| talk.raw(OUTCOME)),
        |talk| talk.skip(8).and_then(|()| talk.raw(AMQP)),
        |talk| {
            talk.until(|body| matches!(body, FrameBody::Open(_)))?;
            talk.say(0, &open())
        },
        |talk| {
            talk.until(|body| matches!(body, FrameBody::Begin(_)))?;
            talk.say(0, &begin(0))
        },
        |talk| {
            talk.until(|body| matches!(body, FrameBody::Attach(_)))?;
            let answer = talk.attach();
            talk.say(0, &answer)
        },
        |talk| talk.say(0, &flow(10)),
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
                    // A publisher reconnects until its time is used up.
                    let time = Duration::from_millis(250);
                    let error = push_within(&what, &peer, time).expect_err(&what);
                    assert!(is_typed(&error), "{what}: {error:?}");
                }
            })
        })
        .collect();
    for stage in stages {
        stage.join().unwrap();
    }
}

type Action = (&'static str, Step);

/// Protocol violations on an attached link.
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
    ("requests without reading the answers", |talk| {
        let mut echo = flow(0);
        echo.echo = true;
        let batch = written(0, &echo, b"").repeat(1000);
        (0..10_000).try_for_each(|_| talk.raw(&batch))
    }),
];

/// Errors that must be tolerated.
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

/// Runs each action on a link of a publisher and of a consumer.
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
        // A consumer reconnects for as long as its call lasts.
        None => assert!(what.ends_with("consuming"), "{what}: no error"),
    });
}

#[test]
fn oddities_are_borne() {
    on_links(ODDITIES, |what, error| match error {
        // There is no credit to push with; the connection is not at fault.
        Some(error) => {
            assert!(what.ends_with("pushing"), "{what}: {error}");
            assert_eq!(error.kind(), ErrorKind::Timeout, "{what}: {error}");
        }
        None => assert!(what.ends_with("consuming"), "{what}"),
    });
}

#[test]
fn deliveries_without_credit_end_the_connection() {
    let connections = AtomicU8::new(0);
    let mut peer = Peer::start(move |talk| {
        let body = [connections.fetch_add(1, Ordering::Relaxed)];
        talk.attached(0)?;
        for id in 0..6 {
            talk.transfer(3, Some(id), false, &message(&body))?;
        }
        talk.wait()
    });
    // On a busy machine the second connection may not be open within a second.
    peer.dsn.push_str("&timeout=30&redial_timeout=30");
    let options = ConsumerOptions {
        prefetch: Some(5),
        ..ConsumerOptions::default()
    };
    let consumer = Consumer::new(vec![queue(&peer.dsn)], options).unwrap();
    watch();
    let (mut got, begun) = (Vec::new(), Instant::now());
    while peer.connections() < 2 && begun.elapsed() < Duration::from_secs(30) {
        let wait = Wait::uninterrupted(Duration::from_millis(100));
        got.extend(consumer.next(&wait).ok().flatten());
    }
    assert!(peer.connections() > 1, "it stayed on the connection");
    // At most five; fewer if it ended before they were taken.
    let first = got.iter().filter(|delivery| delivery.body() == [0]).count();
    assert!(first <= 5, "{first} jobs from one connection");
    drop((got, consumer));
    good_broker_still_works("after deliveries without credit");
}

#[test]
fn a_broker_that_takes_the_attach_and_breaks_off_is_dialled_with_growing_pauses() {
    let peer = Peer::start(|talk| {
        talk.attached(0)?;
        None
    });
    let wait = Wait::uninterrupted(Duration::from_secs(4));
    let consumer = Consumer::new(vec![queue(&peer.dsn)], ConsumerOptions::default()).unwrap();
    let got = bounded("breaks off", || consumer.next(&wait));
    assert!(!matches!(got, Ok(Some(_))));
    let connections = peer.connections();
    // Without pauses, there are more than a thousand; a busy machine reduces the number.
    assert!((1..30).contains(&connections), "{connections}");
}

#[test]
fn gaps_in_delivery_ids_and_a_delivery_without_one() {
    let mut peer = Peer::start(|talk| {
        talk.attached(0)?;
        for id in [7, 1_000_000, u32::MAX, 0] {
            talk.transfer(3, Some(id), false, &message(b"job"))?;
        }
        talk.wait()
    });
    peer.dsn.push_str("&timeout=30");
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
    let mut peer = Peer::start(|talk| {
        talk.trickle = true;
        talk.attached(0)?;
        talk.transfer(3, Some(0), true, &message(b"tri")[..6])?;
        talk.transfer(3, None, false, &message(b"tri")[6..])?;
        talk.wait()
    });
    // A thousand small writes take long on a busy machine.
    peer.dsn.push_str("&timeout=30");
    let got = consume_some("trickle", &peer, 5, 1).unwrap();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].body(), b"tri");
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
        // Four times the largest accepted message.
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
