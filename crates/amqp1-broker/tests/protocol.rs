//! The protocol by bare frames: what a peer may say, must not say, and what it is answered.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::{Duration, Instant};

use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::Connection;
use fe2o3_amqp_types::definitions::{
    AmqpError, ConnectionError, ErrorCondition, Handle, LinkError, ReceiverSettleMode, Role,
    SessionError,
};
use fe2o3_amqp_types::messaging::{DeliveryState, Rejected, Released};
use fe2o3_amqp_types::performatives::{Close, Detach, End};
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
    let broker = broker_with(|o| o.users = Some(users));
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
        // A size below its own header, beyond max-frame-size, an offset outside, another type.
        (&[0, 0, 0, 3, 2, 0, 0, 0][..], &framing),
        (&[0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0], &framing),
        (&[0, 0, 0, 8, 9, 0, 0, 0], &framing),
        (&[0, 0, 0, 8, 2, 1, 0, 0], &framing),
        // No performative, a length of four gigabytes, a list that is too short for its count.
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
    // Before the open, the broker's open comes before its close.
    let mut raw = Raw::silent(&broker);
    raw.say(HEADER).await;
    raw.say(&[0, 0, 0, 3, 2, 0, 0, 0]).await;
    raw.expect_header().await;
    assert!(matches!(raw.next().await, FrameBody::Open(_)));
    assert!(matches!(raw.next().await, FrameBody::Close(_)));
}

/// Whatever octet of whatever frame is wrong, the broker goes on for everybody else.
#[tokio::test]
async fn damaged_frames_never_harm_the_broker() {
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
async fn transfers_beyond_credit_detach_the_link() {
    let broker = broker_with(|o| o.publisher_credit = 2);
    let mut raw = Raw::connect(&broker, 100).await;
    raw.send(&attach("s", 0, Role::Sender, Some("q"))).await;
    raw.next().await;
    assert!(matches!(raw.next().await, FrameBody::Flow(f) if f.link_credit == Some(2)));
    // In one write, so that no new credit comes between.
    let said: Vec<Vec<u8>> = (0..3)
        .map(|id| frame(0, &transfer(0, Some(id), false), MESSAGE))
        .collect();
    raw.say(&said.concat()).await;
    assert!(matches!(raw.next().await, FrameBody::Disposition(d) if d.last == Some(1)));
    let FrameBody::Detach(detach) = raw.next().await else {
        panic!("no detach");
    };
    let exceeded = ErrorCondition::LinkError(LinkError::TransferLimitExceeded);
    assert_eq!(condition(detach.error), exceeded);
    assert_eq!(ready(&broker, "q"), 2);
}

#[tokio::test]
async fn credit_is_topped_up_as_it_is_used() {
    let broker = broker_with(|o| o.publisher_credit = 4);
    let mut raw = Raw::connect(&broker, 100).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    for id in 0..2 {
        raw.send_with(&transfer(0, Some(id), false), MESSAGE).await;
        assert!(matches!(raw.next().await, FrameBody::Disposition(_)));
    }
    let FrameBody::Flow(credit) = raw.next().await else {
        panic!("no new credit");
    };
    assert_eq!(
        (credit.delivery_count, credit.link_credit),
        (Some(2), Some(4))
    );
}

#[tokio::test]
async fn a_transfer_without_a_link_ends_the_session_only() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 100).await;
    raw.send_with(&transfer(5, Some(0), false), MESSAGE).await;
    let FrameBody::End(end) = raw.next().await else {
        panic!("no end");
    };
    let unattached = ErrorCondition::SessionError(SessionError::UnattachedHandle);
    assert_eq!(condition(end.error), unattached);
    // What crosses the end is passed over; then the channel is free again.
    raw.send_with(&transfer(5, Some(1), false), MESSAGE).await;
    raw.send(&End { error: None }).await;
    raw.send(&begin(100)).await;
    assert!(matches!(raw.next().await, FrameBody::Begin(_)));
}

#[tokio::test]
async fn limits_of_channels_and_handles_hold() {
    let broker = broker_with(|o| {
        o.max_sessions = 4;
        o.max_links = 4;
    });
    let mut raw = Raw::connect(&broker, 100).await;
    raw.say(&frame(4, &begin(1), b"")).await;
    assert!(matches!(raw.next().await, FrameBody::Close(c) if c.error.is_some()));
    let mut raw = Raw::connect(&broker, 100).await;
    raw.send(&attach("r", 4, Role::Receiver, Some("q"))).await;
    assert!(matches!(raw.next().await, FrameBody::Close(c) if c.error.is_some()));
    let mut raw = Raw::connect(&broker, 100).await;
    raw.attach(&attach("a", 0, Role::Receiver, Some("q"))).await;
    raw.send(&attach("b", 0, Role::Receiver, Some("q"))).await;
    let FrameBody::End(end) = raw.next().await else {
        panic!("no end");
    };
    let in_use = ErrorCondition::SessionError(SessionError::HandleInUse);
    assert_eq!(condition(end.error), in_use);
}

#[tokio::test]
async fn an_aborted_delivery_leaves_no_trace() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 100).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    raw.send_with(&transfer(0, Some(0), true), b"\x00\x53\x75\xa0\x05begun")
        .await;
    let mut aborted = transfer(0, None, false);
    aborted.aborted = true;
    raw.send(&aborted).await;
    raw.send_with(&transfer(0, Some(1), true), &MESSAGE[..3])
        .await;
    raw.send_with(&transfer(0, None, false), &MESSAGE[3..])
        .await;
    assert!(matches!(raw.next().await, FrameBody::Disposition(d) if d.first == 1));
    assert_eq!(ready(&broker, "q"), 1);
    raw.attach(&attach("r", 1, Role::Receiver, Some("q"))).await;
    raw.send(&flow(Some(1), 0, 1)).await;
    assert!(raw.transfer().await.1.ends_with(MESSAGE));
}

#[tokio::test]
async fn a_message_that_is_none_is_rejected() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 100).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    raw.send_with(&transfer(0, Some(0), false), b"junk").await;
    let FrameBody::Disposition(d) = raw.next().await else {
        panic!("no disposition");
    };
    let Some(DeliveryState::Rejected(Rejected { error })) = d.state else {
        panic!("not rejected");
    };
    assert_eq!(
        condition(error),
        ErrorCondition::AmqpError(AmqpError::DecodeError)
    );
    assert_eq!(ready(&broker, "q"), 0);
}

#[tokio::test]
async fn drain_gives_what_there_is_and_takes_the_rest() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 100).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    for id in 0..2 {
        raw.send_with(&transfer(0, Some(id), false), MESSAGE).await;
        raw.next().await;
    }
    raw.attach(&attach("r", 1, Role::Receiver, Some("q"))).await;
    let mut drain = flow(Some(1), 0, 10);
    drain.drain = true;
    raw.send(&drain).await;
    raw.transfer().await;
    raw.transfer().await;
    let FrameBody::Flow(answer) = raw.next().await else {
        panic!("the drain is not answered");
    };
    assert!(answer.drain);
    assert_eq!(
        (answer.delivery_count, answer.link_credit),
        (Some(10), Some(0))
    );
    // Nothing is left of the credit.
    raw.send_with(&transfer(0, Some(2), false), MESSAGE).await;
    raw.next().await;
    assert!(raw.sync(flow(None, 0, 0)).await.is_empty());
    // New credit counts from where the drain left it.
    raw.send(&flow(Some(1), 10, 1)).await;
    raw.transfer().await;
}

#[tokio::test]
async fn echo_is_answered_with_the_links_state() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 100).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    for id in 0..3 {
        raw.send_with(&transfer(0, Some(id), false), MESSAGE).await;
        raw.next().await;
    }
    raw.attach(&attach("r", 1, Role::Receiver, Some("q"))).await;
    let mut echo = flow(Some(1), 0, 0);
    echo.echo = true;
    raw.send(&echo).await;
    let FrameBody::Flow(answer) = raw.next().await else {
        panic!("no answer");
    };
    assert_eq!(answer.handle, Some(Handle(1)));
    assert_eq!(answer.available, Some(3));
    assert_eq!(
        (answer.delivery_count, answer.link_credit),
        (Some(0), Some(0))
    );
}

#[tokio::test]
async fn the_peers_window_holds_transfers_back() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 2).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    for id in 0..5 {
        raw.send_with(&transfer(0, Some(id), false), MESSAGE).await;
        raw.next().await;
    }
    raw.attach(&attach("r", 1, Role::Receiver, Some("q"))).await;
    let mut credit = flow(Some(1), 0, 5);
    credit.incoming_window = 2;
    raw.send(&credit).await;
    raw.transfer().await;
    raw.transfer().await;
    let mut told = flow(None, 0, 0);
    (told.next_incoming_id, told.incoming_window) = (Some(2), 0);
    assert!(raw.sync(told.clone()).await.is_empty(), "beyond the window");
    told.incoming_window = 1;
    raw.send(&told).await;
    raw.transfer().await;
    (told.next_incoming_id, told.incoming_window) = (Some(3), 100);
    raw.send(&told).await;
    raw.transfer().await;
    raw.transfer().await;
}

#[tokio::test]
async fn lowered_credit_takes_unsent_deliveries_back() {
    let broker = broker();
    // The window is shut: everything given to the link waits.
    let mut raw = Raw::connect(&broker, 0).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    for id in 0..5 {
        raw.send_with(&transfer(0, Some(id), false), MESSAGE).await;
        raw.next().await;
    }
    raw.attach(&attach("r", 1, Role::Receiver, Some("q"))).await;
    let mut credit = flow(Some(1), 0, 5);
    credit.incoming_window = 0;
    raw.send(&credit).await;
    until("assignment", || counts(&broker, "q").unsettled == 5).await;
    credit.link_credit = Some(2);
    raw.send(&credit).await;
    until("return", || counts(&broker, "q").unsettled == 2).await;
    assert_eq!(ready(&broker, "q"), 3);
}

#[tokio::test]
async fn dispositions_are_ranges_both_ways() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 1000).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    let mut all = Vec::new();
    for id in 0..20 {
        all.extend(frame(0, &transfer(0, Some(id), false), MESSAGE));
    }
    raw.say(&all).await;
    let mut settled = 0;
    let mut frames = 0;
    while settled < 20 {
        let FrameBody::Disposition(d) = raw.next().await else {
            panic!("no disposition");
        };
        assert_eq!(d.first, settled);
        settled = d.last.unwrap_or(d.first) + 1;
        frames += 1;
    }
    assert!(frames < 20, "they were said in one write");
    let mut receiver = attach("r", 1, Role::Receiver, Some("q"));
    receiver.rcv_settle_mode = ReceiverSettleMode::Second;
    raw.attach(&receiver).await;
    raw.send(&flow(Some(1), 0, 20)).await;
    for _ in 0..20 {
        raw.transfer().await;
    }
    raw.send(&disposition(0, 9, false)).await;
    let FrameBody::Disposition(d) = raw.next().await else {
        panic!("no disposition");
    };
    assert_eq!((d.role, d.settled), (Role::Sender, true));
    assert_eq!((d.first, d.last), (0, Some(9)));
    assert!(d.state.unwrap().is_accepted());
    assert_eq!(counts(&broker, "q").unsettled, 10);
    // A range of two billion deliveries means those that there are.
    let mut released = disposition(10, i32::MAX as u32, true);
    released.state = Some(Released {}.into());
    raw.send(&released).await;
    raw.sync(flow(None, 0, 0)).await;
    assert_eq!(counts(&broker, "q").unsettled, 0);
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

#[tokio::test]
async fn a_detach_that_crosses_is_passed_over() {
    let broker = broker();
    let mut raw = Raw::connect(&broker, 1).await;
    let detach = Detach {
        handle: Handle(0),
        closed: true,
        error: None,
    };
    raw.attach(&attach("r", 0, Role::Receiver, Some("q"))).await;
    raw.send(&detach).await;
    raw.send(&detach).await;
    assert!(matches!(raw.next().await, FrameBody::Detach(d) if d.closed && d.error.is_none()));
    assert!(raw.sync(flow(None, 0, 0)).await.is_empty());
}
