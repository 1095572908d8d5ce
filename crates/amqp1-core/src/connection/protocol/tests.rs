#![allow(clippy::unwrap_used)]

use bytes::{BufMut, BytesMut};
use fe2o3_amqp_types::definitions::{AmqpError, Handle, Role};
use fe2o3_amqp_types::performatives::{Begin, Detach, End, Flow};

use super::incoming::MAX_UNREAD;
use super::receiver::Receiver;
use super::session::receiving::Settled;
use super::sessions::UNANSWERED;
use super::*;
use crate::error::condition::Condition;

fn begin(ours: u16) -> Begin {
    Begin {
        remote_channel: Some(ours),
        next_outgoing_id: 0,
        incoming_window: 100,
        outgoing_window: 100,
        handle_max: Handle(7),
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    }
}

fn say(
    protocol: &mut Protocol,
    channel: u16,
    performative: &impl serde::Serialize,
) -> Result<bool> {
    let mut bytes = Vec::new();
    frame::encode_performative(&mut bytes, channel, performative).unwrap();
    protocol.handle_input(&mut BytesMut::from(&bytes[..]), Instant::now())
}

/// A connection with this many sessions.
fn protocol(channel_max: u16, sessions: usize) -> (Protocol, Vec<LinkKey>) {
    let remote = Remote {
        max_frame_size: 512,
        channel_max,
        ..Remote::default()
    };
    let now = Instant::now();
    let mut protocol = Protocol::new("test", &remote, Duration::from_secs(60), now);
    let keys = (0..sessions).map(|_| protocol.open_session(Signal::new(), now).unwrap());
    let keys = keys.collect();
    (protocol, keys)
}

#[test]
fn one_session_begins_once_and_has_its_channel_for_itself() {
    let (mut first, _) = protocol(10, 2);
    say(&mut first, 5, &begin(0)).unwrap();
    assert!(say(&mut first, 6, &begin(0)).is_err());
    let (mut second, _) = protocol(10, 2);
    say(&mut second, 5, &begin(0)).unwrap();
    assert!(say(&mut second, 5, &begin(1)).is_err());
}

fn echo() -> Flow {
    Flow {
        next_incoming_id: Some(0),
        incoming_window: 100,
        next_outgoing_id: 0,
        outgoing_window: 100,
        handle: None,
        delivery_count: None,
        link_credit: None,
        available: None,
        drain: false,
        echo: true,
        properties: None,
    }
}

#[test]
fn a_broker_that_asks_and_never_reads_is_left() {
    let (mut protocol, _) = protocol(10, 2);
    say(&mut protocol, 5, &begin(0)).unwrap();
    let refused = (0..1_000_000).find_map(|_| say(&mut protocol, 5, &echo()).err());
    assert!(refused.is_some());
    assert!(protocol.output.frames().len() < MAX_UNREAD + 4096);
}

#[test]
fn a_broker_that_reads_slowly_does_not_make_the_output_grow() {
    let (mut protocol, _) = protocol(10, 2);
    say(&mut protocol, 5, &begin(0)).unwrap();
    for _ in 0..20_000 {
        say(&mut protocol, 5, &echo()).unwrap();
        let all_but_one = protocol.poll_output().pending() - 1;
        protocol.handle_written(all_but_one, Instant::now());
    }
    let kept = protocol.output.frames().len();
    assert!(kept < 2 * output::COMPACT, "{kept}");
}

fn is_given_up(protocol: &mut Protocol, key: LinkKey) -> bool {
    protocol.session(key).unwrap().0.life.is_given_up()
}

#[test]
fn a_begin_that_is_not_answered_is_given_up_and_its_channel_left_alone() {
    let (mut protocol, keys) = protocol(10, 2);
    let (answered, lost) = (keys[0], keys[1]);
    say(&mut protocol, 5, &begin(0)).unwrap();
    let due = protocol.poll_timeout(Instant::now());
    protocol
        .handle_timeout(due - Duration::from_millis(1))
        .unwrap();
    assert!(!is_given_up(&mut protocol, lost));
    protocol.handle_timeout(due).unwrap();
    assert!(!is_given_up(&mut protocol, answered));
    assert!(is_given_up(&mut protocol, lost));
    assert!(protocol.gone(lost).is(Condition::BEGIN_UNANSWERED));
    assert!(protocol.poll_timeout(due) > due + UNANSWERED);
    let next = protocol.open_session(Signal::new(), due).unwrap();
    assert_eq!(next.channel, 2);
    // The broker was only slow: both ends are sent, and nobody waits at the end.
    say(&mut protocol, 6, &begin(1)).unwrap();
    say(&mut protocol, 6, &End { error: None }).unwrap();
    assert!(protocol.session(lost).is_err());
}

/// Otherwise, a closing connection waits for it in vain, and one without links never closes.
#[test]
fn a_session_that_was_ended_before_its_begin_was_lost_keeps_nobody_waiting() {
    let (mut protocol, keys) = protocol(10, 1);
    let now = Instant::now();
    protocol.close_when_idle(Duration::from_secs(1), now);
    protocol.end_session(keys[0]);
    assert!(protocol.has_sessions());
    protocol.handle_timeout(now + 2 * UNANSWERED).unwrap();
    assert!(!protocol.has_sessions());
    protocol.handle_timeout(now + 3 * UNANSWERED).unwrap();
    assert!(protocol.was_idle());
}

#[test]
fn a_link_that_the_broker_ends_takes_its_session_with_it_and_says_why() {
    let (mut protocol, keys) = protocol(10, 1);
    let mut sender = Sender::new("s".to_owned());
    sender.lanes.current().remote_handle = Some(3);
    protocol.session(keys[0]).unwrap().0.sender = Some(sender);
    say(&mut protocol, 5, &begin(0)).unwrap();
    let detach = Detach {
        handle: Handle(3),
        closed: true,
        error: Some(fe2o3_amqp_types::definitions::Error {
            condition: AmqpError::NotFound.into(),
            description: None,
            info: None,
        }),
    };
    say(&mut protocol, 5, &detach).unwrap();
    assert!(!protocol.session(keys[0]).unwrap().0.life.may_speak());
    say(&mut protocol, 5, &End { error: None }).unwrap();
    assert_eq!(protocol.session_count(), 0);
    assert!(protocol.gone(keys[0]).is(Condition::NOT_FOUND));
}

#[test]
fn a_session_that_cannot_be_had_is_told_apart_from_a_lost_connection() {
    let (mut protocol, _) = protocol(0, 1);
    let now = Instant::now();
    let error = protocol.open_session(Signal::new(), now).unwrap_err();
    assert!(error.is(Condition::ALL_IN_USE));
    protocol.handle_lost(&Error::connection("gone"));
    let error = protocol.open_session(Signal::new(), now).unwrap_err();
    assert_eq!(error.condition(), None);
}

/// A small job in the hands of PHP must not hold on to all bytes that were read with it.
#[test]
fn the_memory_of_the_input_is_used_again_while_jobs_are_held() {
    let (mut protocol, key) = receiving();
    let mut input = BytesMut::with_capacity(64 * 1024);
    let memory = input.as_ptr();
    let mut held = Vec::new();
    for id in 0..100 {
        let payload = vec![id as u8; [100, 3000, 20_000][id as usize % 3]];
        let frame = transfer(id, false, &payload);
        input.reserve(frame.len());
        input.extend_from_slice(&frame);
        protocol.handle_input(&mut input, Instant::now()).unwrap();
        assert!(input.is_empty());
        let session = protocol.session(key).unwrap().0;
        held.push((session.take().unwrap().unwrap().payload, payload));
    }
    input.reserve(64 * 1024);
    assert_eq!(input.as_ptr(), memory);
    assert!(held.iter().all(|(payload, sent)| payload == sent));
}

/// A connection with a receiver on the broker's channel 5, handle 3.
fn receiving() -> (Protocol, LinkKey) {
    let (mut protocol, keys) = protocol(10, 1);
    say(&mut protocol, 5, &begin(0)).unwrap();
    let receiver = Receiver::new("r".to_owned(), 100, Signal::new());
    protocol.session(keys[0]).unwrap().0.receiver = Some(receiver);
    let mut answer = link::attach("r", Role::Sender, link::source("q"), link::target(None));
    answer.handle = Handle(3);
    say(&mut protocol, 5, &answer).unwrap();
    (protocol, keys[0])
}

fn transfer(id: u32, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let first = frame::First {
        delivery_id: id,
        settled: true,
        format: 0,
    };
    frame::encode_transfer(&mut frame, 5, 3, Some(first), more, payload);
    frame
}

#[test]
fn a_long_frame_may_arrive_in_any_pieces() {
    let payload: Vec<u8> = (0..5000u32).map(|n| (n % 251) as u8).collect();
    for piece in [1, 7, 50, 1000, 4990, 5100] {
        for is_placed in [false, true] {
            let (mut protocol, key) = receiving();
            let (mut input, now) = (BytesMut::new(), Instant::now());
            let mut bytes = transfer(0, true, &payload);
            frame::encode_transfer(&mut bytes, 5, 3, None, false, &payload);
            bytes.extend(transfer(1, false, b"next"));
            let mut left = &bytes[..];
            while !left.is_empty() {
                let mut count = piece.min(left.len());
                match protocol.poll_room().filter(|_| is_placed) {
                    Some(mut room) => {
                        count = count.min(room.remaining_mut());
                        room.put_slice(&left[..count]);
                        protocol.handle_placed(count, now).unwrap();
                    }
                    None => {
                        input.extend_from_slice(&left[..count]);
                        protocol.handle_input(&mut input, now).unwrap();
                    }
                }
                left = &left[count..];
            }
            let session = protocol.session(key).unwrap().0;
            let first = session.take().unwrap().unwrap();
            assert_eq!(first.payload, [&payload[..], &payload[..]].concat());
            assert_eq!(&session.take().unwrap().unwrap().payload[..], b"next");
        }
    }
}

#[test]
fn no_frame_makes_the_input_grow() {
    let announce = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        bytes
    };
    let (mut protocol, _) = receiving();
    let mut flow = Vec::new();
    frame::encode_performative(&mut flow, 5, &echo()).unwrap();
    let refused = protocol.handle_input(&mut BytesMut::from(&announce(&flow)[..]), Instant::now());
    assert!(refused.unwrap_err().message().contains("max-frame-size"));
    // A transfer may be of any length, up to that of a message.
    let (mut protocol, _) = receiving();
    let bytes = announce(&transfer(0, false, &[7; 100]));
    let refused = protocol.handle_input(&mut BytesMut::from(&bytes[..]), Instant::now());
    assert!(refused.unwrap_err().message().contains("max-message-size"));
}

#[test]
fn what_arrives_for_an_ended_link_is_passed_over() {
    let (mut protocol, key) = receiving();
    let (mut input, now) = (BytesMut::new(), Instant::now());
    let mut bytes = transfer(0, false, &[7; 1000]);
    let rest = bytes.split_off(500);
    input.extend_from_slice(&bytes);
    protocol.handle_input(&mut input, now).unwrap();
    protocol.end_session(key);
    assert!(protocol.poll_room().is_none());
    input.extend_from_slice(&rest);
    protocol.handle_input(&mut input, now).unwrap();
    assert!(input.is_empty());
    say(&mut protocol, 5, &End { error: None }).unwrap();
}

#[test]
fn who_waits_sends_what_is_gathered_unless_more_is_on_its_way() {
    let (mut protocol, _) = protocol(10, 1);
    let sent = Instant::now();
    protocol.handle_written(0, sent);
    protocol.gather(sent);
    protocol
        .flush_idle(sent + Duration::from_millis(1))
        .unwrap();
    assert!(protocol.is_gathering(), "the timer sends it");
    let later = sent + Duration::from_millis(2);
    protocol.flush_idle(later).unwrap();
    assert!(!protocol.is_gathering());
}

/// With hundreds of sessions, most of them have nothing to say.
#[test]
fn only_sessions_with_settlements_are_flushed() {
    let (mut protocol, keys) = protocol(10, 3);
    let now = Instant::now();
    for (remote, key) in (5..).zip(&keys) {
        say(&mut protocol, remote, &begin(key.channel)).unwrap();
        let mut receiver = Receiver::new("r".to_owned(), 100, Signal::new());
        receiver.phase = link::Phase::Attached;
        receiver.remote_handle = Some(3);
        let session = protocol.session(*key).unwrap().0;
        session.receiver = Some(receiver);
        session.grant_credit(now, &mut Vec::new()).unwrap();
        for id in 0..4 {
            let mut frame = Vec::new();
            let first = frame::First {
                delivery_id: id,
                settled: false,
                format: 0,
            };
            frame::encode_transfer(&mut frame, remote, 3, Some(first), false, b"job");
            let mut input = BytesMut::from(&frame[..]);
            protocol.handle_input(&mut input, now).unwrap();
        }
    }
    let pending = protocol.poll_output().pending();
    protocol.handle_written(pending, now);
    for id in 0..3 {
        assert_eq!(protocol.accept(keys[1], id, || now), Ok(Settled::Gathered));
    }
    let gathered = |protocol: &mut Protocol| {
        keys.iter()
            .map(|key| {
                protocol
                    .session(*key)
                    .unwrap()
                    .0
                    .receiver()
                    .unwrap()
                    .gathered()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(gathered(&mut protocol), [0, 3, 0]);
    assert_eq!(protocol.gathered, [keys[1]], "listed once");
    protocol.flush_all(now).unwrap();
    assert_eq!(gathered(&mut protocol), [0, 0, 0]);
    assert!(protocol.gathered.is_empty());
    let (mut disposition, written) = (Vec::new(), protocol.poll_output());
    let accepted = [0x00, 0x53, 0x24, 0x45];
    frame::encode_disposition(&mut disposition, keys[1].channel, 0, 2, true, &accepted);
    assert_eq!(written.beginning(usize::MAX), disposition);
    // Listed again, and ended before the flush.
    let pending = written.pending();
    protocol.handle_written(pending, now);
    assert_eq!(protocol.accept(keys[1], 3, || now), Ok(Settled::Gathered));
    protocol.end_session(keys[1]);
    protocol.flush_all(now).unwrap();
    assert!(protocol.gathered.is_empty());
}

#[test]
fn what_was_gathered_ends_with_its_link() {
    let (mut protocol, keys) = protocol(10, 1);
    let now = Instant::now();
    say(&mut protocol, 5, &begin(keys[0].channel)).unwrap();
    let mut receiver = Receiver::new("r".to_owned(), 100, Signal::new());
    receiver.phase = link::Phase::Attached;
    receiver.remote_handle = Some(3);
    let session = protocol.session(keys[0]).unwrap().0;
    session.receiver = Some(receiver);
    session.grant_credit(now, &mut Vec::new()).unwrap();
    let (mut frame, first) = (
        Vec::new(),
        frame::First {
            delivery_id: 0,
            settled: false,
            format: 0,
        },
    );
    frame::encode_transfer(&mut frame, 5, 3, Some(first), false, b"job");
    let mut input = BytesMut::from(&frame[..]);
    protocol.handle_input(&mut input, now).unwrap();
    assert_eq!(protocol.accept(keys[0], 0, || now), Ok(Settled::Gathered));
    let detach = Detach {
        handle: Handle(3),
        closed: true,
        error: None,
    };
    say(&mut protocol, 5, &detach).unwrap();
    protocol.flush_all(now).unwrap();
    let receiver = protocol.session(keys[0]).unwrap().0.receiver().unwrap();
    assert_eq!(receiver.gathered(), 0);
}
