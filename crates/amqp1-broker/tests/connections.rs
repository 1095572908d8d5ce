//! Connections with raw frames: opening, authentication, malformed bytes, timers, shutdown.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::{Duration, Instant};

use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::Connection;
use fe2o3_amqp_types::definitions::{AmqpError, ConnectionError, ErrorCondition, Handle, Role};
use fe2o3_amqp_types::performatives::Close;
use serde_amqp::Value;
use support::raw::{attach, begin, disposition, flow, frame, open, transfer, Raw, HEADER, MESSAGE};
use support::*;

fn condition(error: Option<fe2o3_amqp_types::definitions::Error>) -> ErrorCondition {
    error.expect("an error").condition
}

#[tokio::test]
async fn open_says_who_the_broker_is() {
    let broker = broker();
    let mut raw = Raw::silent(&broker);
    raw.say(HEADER).await;
    raw.send(&open()).await;
    raw.expect_header().await;
    let FrameBody::Open(answer) = raw.next().await else {
        panic!("no open");
    };
    assert_eq!(answer.container_id, "amqp1-broker/test");
    assert_eq!(answer.idle_time_out, Some(60_000));
    let capabilities = answer.offered_capabilities.unwrap();
    assert_eq!(capabilities[0].as_str(), "ANONYMOUS-RELAY");
    let properties = answer.properties.unwrap();
    assert_eq!(
        properties.get("product"),
        Some(&Value::from("amqp1-broker"))
    );
    let version = Value::from(env!("CARGO_PKG_VERSION"));
    assert_eq!(properties.get("version"), Some(&version));
    raw.send(&Close { error: None }).await;
    assert!(matches!(raw.next().await, FrameBody::Close(c) if c.error.is_none()));
    assert!(raw.next_or_end().await.is_none());
}

#[tokio::test]
async fn everything_may_be_said_at_once() {
    let broker = broker();
    let mut raw = Raw::silent(&broker);
    let mut all = b"AMQP\x03\x01\x00\x00".to_vec();
    let init = fe2o3_amqp_types::sasl::SaslInit {
        mechanism: "ANONYMOUS".into(),
        initial_response: None,
        hostname: None,
    };
    let mut sasl = frame(0, &init, b"");
    sasl[5] = 1;
    all.extend(sasl);
    all.extend(HEADER);
    all.extend(frame(0, &open(), b""));
    all.extend(frame(7, &begin(100), b""));
    all.extend(frame(7, &attach("r", 3, Role::Receiver, Some("q")), b""));
    all.extend(frame(7, &flow(Some(3), 0, 1), b""));
    all.extend(frame(7, &attach("s", 4, Role::Sender, Some("q")), b""));
    all.extend(frame(7, &transfer(4, Some(9), false), MESSAGE));
    raw.say(&all).await;
    let mut sasl = [0; 8];
    use tokio::io::AsyncReadExt;
    raw.stream.read_exact(&mut sasl).await.unwrap();
    assert_eq!(&sasl, b"AMQP\x03\x01\x00\x00");
    for _ in 0..2 {
        let size = raw.stream.read_u32().await.unwrap();
        let mut frame = vec![0; size as usize - 4];
        raw.stream.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame[1], 1, "a SASL frame");
    }
    raw.expect_header().await;
    assert!(matches!(raw.next().await, FrameBody::Open(_)));
    assert!(matches!(raw.next().await, FrameBody::Begin(b) if b.remote_channel == Some(7)));
    assert!(
        matches!(raw.next().await, FrameBody::Attach(a) if a.initial_delivery_count == Some(0))
    );
    assert!(matches!(raw.next().await, FrameBody::Attach(a) if a.max_message_size.is_some()));
    assert!(matches!(raw.next().await, FrameBody::Flow(f) if f.link_credit > Some(100)));
    assert!(matches!(raw.next().await, FrameBody::Disposition(d) if d.first == 9 && d.settled));
    let (transfer, payload) = raw.transfer().await;
    assert_eq!(transfer.handle, Handle(3));
    assert!(payload.ends_with(MESSAGE));
}

#[tokio::test]
async fn plain_lets_in_who_is_known() {
    let users = vec![("guest".to_owned(), "secret".to_owned())];
    let broker = broker_with(|o| o.rabbitmq.users = Some(users));
    let open = async |profile: SaslProfile| {
        let opened = Connection::builder()
            .container_id("c")
            .sasl_profile(profile)
            .open_with_stream(stream(&broker));
        soon("open", opened).await
    };
    let plain = |password: &str| SaslProfile::Plain {
        username: "guest".into(),
        password: password.into(),
    };
    let mut opened = open(plain("secret")).await.unwrap();
    opened.close().await.unwrap();
    let refused = format!("{:?}", open(plain("wrong")).await.unwrap_err());
    assert!(refused.contains("Auth"), "{refused}");
    assert!(open(SaslProfile::Anonymous).await.is_err());
    let bare = Connection::builder()
        .container_id("c")
        .open_with_stream(stream(&broker));
    assert!(soon("refusal", bare).await.is_err());
}

#[tokio::test]
async fn without_users_any_mechanism_is_taken() {
    let broker = broker();
    for profile in [
        SaslProfile::Anonymous,
        SaslProfile::Plain {
            username: "any".into(),
            password: "body".into(),
        },
    ] {
        let opened = Connection::builder()
            .container_id("c")
            .sasl_profile(profile)
            .open_with_stream(stream(&broker));
        let mut opened = soon("open", opened).await.unwrap();
        opened.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_foreign_protocol_is_answered_with_the_header() {
    let broker = broker();
    for said in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"AMQP\x00\x00\x09\x01",
        b"AMQP\x02\x01\x00\x00",
    ] {
        let mut raw = Raw::silent(&broker);
        raw.say(said).await;
        raw.expect_header().await;
        assert!(raw.next_or_end().await.is_none());
    }
    until("ends", || broker.connection_count() == 0).await;
}

#[tokio::test]
async fn malformed_octets_close_the_connection_with_the_reason() {
    let framing = ErrorCondition::ConnectionError(ConnectionError::FramingError);
    let decode = ErrorCondition::AmqpError(AmqpError::DecodeError);
    let broker = broker();
    for (octets, expected) in [
        // A size below the header's own, above max-frame-size, an offset out of bounds, another
        // type.
        (&[0, 0, 0, 3, 2, 0, 0, 0][..], &framing),
        (&[0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0], &framing),
        (&[0, 0, 0, 8, 9, 0, 0, 0], &framing),
        (&[0, 0, 0, 8, 2, 1, 0, 0], &framing),
        // Not a performative, a length of four gigabytes, a list too short for its count.
        (&[0, 0, 0, 9, 2, 0, 0, 0, 0x40], &decode),
        (
            &[0, 0, 0, 13, 2, 0, 0, 0, 0xb1, 0xff, 0xff, 0xff, 0xff],
            &decode,
        ),
        (
            &[0, 0, 0, 14, 2, 0, 0, 0, 0, 0x53, 0x14, 0xc0, 1, 9],
            &decode,
        ),
        (
            &[0, 0, 0, 14, 2, 0, 0, 0, 0, 0x53, 0x99, 0xc0, 1, 0],
            &decode,
        ),
    ] {
        let mut raw = Raw::connect(&broker, 100).await;
        raw.say(octets).await;
        let FrameBody::Close(close) = raw.next().await else {
            panic!("no close for {octets:?}");
        };
        assert_eq!(&condition(close.error), expected, "{octets:?}");
        raw.send(&Close { error: None }).await;
        assert!(raw.next_or_end().await.is_none());
    }
    // Before the peer's open, the broker sends its open before its close.
    let mut raw = Raw::silent(&broker);
    raw.say(HEADER).await;
    raw.say(&[0, 0, 0, 3, 2, 0, 0, 0]).await;
    raw.expect_header().await;
    assert!(matches!(raw.next().await, FrameBody::Open(_)));
    assert!(matches!(raw.next().await, FrameBody::Close(_)));
}

#[tokio::test]
async fn damaged_frames_never_harm_the_broker() {
    // Whatever byte of whatever frame is damaged, the broker keeps working for all other peers.
    let broker = broker();
    let frames = [
        frame(0, &attach("r", 0, Role::Receiver, Some("q")), b""),
        frame(0, &attach("s", 1, Role::Sender, Some("q")), b""),
        frame(0, &transfer(1, Some(0), false), MESSAGE),
        frame(0, &flow(Some(0), 0, 10), b""),
        frame(0, &disposition(0, 5, true), b""),
    ];
    let whole: Vec<u8> = frames.concat();
    let mut seed = 7u64;
    for _ in 0..300 {
        let mut damaged = whole.clone();
        for _ in 0..2 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (seed >> 33) as usize % damaged.len();
            damaged[at] = (seed >> 20) as u8;
        }
        let mut raw = Raw::silent(&broker);
        let mut said = HEADER.to_vec();
        said.extend(frame(0, &open(), b""));
        said.extend(frame(0, &begin(10), b""));
        said.extend(damaged);
        raw.say(&said).await;
    }
    until("ends", || broker.connection_count() == 0).await;
    let mut client = connect(&broker).await;
    let mut sender = client.sender("after").await;
    assert!(send(&mut sender, "x").await.is_accepted());
}

#[tokio::test]
async fn a_silent_peer_is_dropped_and_a_living_one_is_not() {
    let broker = broker_with(|o| o.idle_timeout = Duration::from_millis(100));
    let mut silent = Raw::connect(&broker, 1).await;
    let since = Instant::now();
    let FrameBody::Close(close) = silent.next().await else {
        panic!("no close");
    };
    let exceeded = ErrorCondition::AmqpError(AmqpError::ResourceLimitExceeded);
    assert_eq!(condition(close.error), exceeded);
    assert!(
        since.elapsed() >= Duration::from_millis(150),
        "twice the time it is told"
    );
    drop(silent);
    let mut living = Raw::connect(&broker, 1).await;
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(400) {
        living.say(&[0, 0, 0, 8, 2, 0, 0, 0]).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(broker.connection_count(), 1);
    assert!(living.sync(flow(None, 0, 0)).await.is_empty());
}

#[tokio::test]
async fn heartbeats_come_before_the_peers_time_is_over() {
    let broker = broker();
    let mut raw = Raw::silent(&broker);
    raw.say(HEADER).await;
    let mut opened = open();
    opened.idle_time_out = Some(200);
    raw.send(&opened).await;
    raw.expect_header().await;
    raw.next().await;
    let since = Instant::now();
    for _ in 0..3 {
        assert!(matches!(raw.next_or_end().await, Some(FrameBody::Empty)));
    }
    assert!(
        since.elapsed() < Duration::from_millis(200 * 3),
        "at half the time"
    );
}

#[tokio::test]
async fn who_never_opens_is_dropped() {
    let broker = broker_with(|o| o.handshake_timeout = Duration::from_millis(50));
    let mut raw = Raw::silent(&broker);
    assert!(raw.next_or_end().await.is_none());
    let mut raw = Raw::silent(&broker);
    raw.say(HEADER).await;
    raw.expect_header().await;
    assert!(raw.next_or_end().await.is_none());
}

#[tokio::test]
async fn a_shutdown_closes_every_connection() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 1).await;
    broker.shutdown();
    let FrameBody::Close(close) = raw.next().await else {
        panic!("no close");
    };
    let forced = ErrorCondition::ConnectionError(ConnectionError::ConnectionForced);
    assert_eq!(condition(close.error), forced);
    raw.send(&Close { error: None }).await;
    until("end", || broker.connection_count() == 0).await;
}
