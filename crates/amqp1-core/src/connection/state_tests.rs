#![allow(clippy::unwrap_used)]

use bytes::BytesMut;
use fe2o3_amqp_types::definitions::{AmqpError, Handle};
use fe2o3_amqp_types::performatives::{Begin, Detach, Flow};

use super::super::condition::ALL_IN_USE;
use super::super::sender::Sender;
use super::*;

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
    state: &mut State,
    channel: u16,
    performative: &impl serde::Serialize,
) -> Result<bool, DecodeError> {
    let mut bytes = Vec::new();
    frame::encode_performative(&mut bytes, channel, performative)?;
    let decoded = frame::decode(&mut BytesMut::from(&bytes[..]), 4096)?;
    let (channel, frame) = decoded.unwrap();
    state.on_frame(channel, frame)
}

fn state() -> State {
    let mut state = State::new("test", 512, 10);
    state.open_session(Signal::new()).unwrap();
    state.open_session(Signal::new()).unwrap();
    state
}

#[test]
fn one_session_begins_once_and_has_its_channel_for_itself() {
    let mut first = state();
    say(&mut first, 5, &begin(0)).unwrap();
    assert!(say(&mut first, 6, &begin(0)).is_err());
    let mut second = state();
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
    let mut state = state();
    say(&mut state, 5, &begin(0)).unwrap();
    let refused = (0..1_000_000).find_map(|_| say(&mut state, 5, &echo()).err());
    assert!(refused.is_some());
    assert!(state.out.bytes.len() < MAX_UNREAD + 4096);
}

#[test]
fn a_broker_that_reads_slowly_does_not_make_the_output_grow() {
    let mut state = state();
    say(&mut state, 5, &begin(0)).unwrap();
    for _ in 0..20_000 {
        say(&mut state, 5, &echo()).unwrap();
        let all_but_one = state.out.pending().len() - 1;
        state.out.advance(all_but_one);
    }
    assert!(
        state.out.bytes.len() < 2 * crate::connection::output::COMPACT,
        "{}",
        state.out.bytes.len()
    );
}

#[test]
fn a_begin_that_is_not_answered_is_given_up_and_its_channel_left_alone() {
    let mut state = State::new("test", 512, 10);
    let answered = state.open_session(Signal::new()).unwrap();
    let lost = state.open_session(Signal::new()).unwrap();
    say(&mut state, 5, &begin(0)).unwrap();
    let due = state.give_up_at().unwrap();
    state.give_up_unanswered(due - Duration::from_millis(1));
    assert!(!state.session(lost).unwrap().given_up);
    state.give_up_unanswered(due);
    assert!(!state.session(answered).unwrap().given_up);
    assert!(state.session(lost).unwrap().given_up);
    assert_eq!(state.gone(lost).condition(), Some(BEGIN_UNANSWERED));
    assert_eq!(state.give_up_at(), None);
    assert_eq!(state.open_session(Signal::new()).unwrap().channel, 2);
    // It was only slow: both ends are sent, and nobody is waited for at the end.
    say(&mut state, 6, &begin(1)).unwrap();
    say(&mut state, 6, &End { error: None }).unwrap();
    assert!(state.session(lost).is_none());
}

#[test]
fn a_link_that_the_broker_ends_takes_its_session_with_it_and_says_why() {
    let mut state = State::new("test", 512, 10);
    let key = state.open_session(Signal::new()).unwrap();
    let mut sender = Sender::new("s".to_owned());
    sender.remote_handle = Some(3);
    state.session(key).unwrap().sender = Some(sender);
    say(&mut state, 5, &begin(0)).unwrap();
    let detach = Detach {
        handle: Handle(3),
        closed: true,
        error: Some(fe2o3_amqp_types::definitions::Error {
            condition: AmqpError::NotFound.into(),
            description: None,
            info: None,
        }),
    };
    say(&mut state, 5, &detach).unwrap();
    assert!(state.session(key).unwrap().ending);
    say(&mut state, 5, &End { error: None }).unwrap();
    assert_eq!(state.session_count(), 0);
    assert_eq!(state.gone(key).condition(), Some("amqp:not-found"));
}

#[test]
fn a_session_that_cannot_be_had_is_told_apart_from_a_lost_connection() {
    let mut state = State::new("test", 512, 0);
    state.open_session(Signal::new()).unwrap();
    let error = state.open_session(Signal::new()).unwrap_err();
    assert_eq!(error.condition(), Some(ALL_IN_USE));
    state.fail(&Error::connection("gone"));
    let error = state.open_session(Signal::new()).unwrap_err();
    assert_eq!(error.condition(), None);
}
