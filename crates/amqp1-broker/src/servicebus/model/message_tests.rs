//! Messages: the parts that are kept and those that are changed, and batches.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use fe2o3_amqp_types::messaging::{ApplicationProperties, Data, MessageAnnotations};
use fe2o3_amqp_types::primitives::SimpleValue;

use super::*;
use crate::servicebus::facts::dead_letter;

fn encoded(name: &str, properties: &Properties) -> Vec<u8> {
    let mut out = serde_amqp::to_vec(properties).unwrap();
    out.extend(serde_amqp::to_vec(&Data(name.as_bytes().to_vec().into())).unwrap());
    out
}

/// A message with its name as its body.
pub(crate) fn message(name: &str) -> Message {
    with_properties(name, Properties::default())
}

pub(crate) fn session_message(name: &str, session: &str) -> Message {
    let group_id = Some(session.to_owned());
    with_properties(
        name,
        Properties {
            group_id,
            ..Properties::default()
        },
    )
}

pub(crate) fn with_properties(name: &str, properties: Properties) -> Message {
    Message::parse(&encoded(name, &properties).into()).unwrap()
}

pub(crate) fn body(message: &Message) -> String {
    String::from_utf8(data(&message.body).unwrap().to_vec()).unwrap()
}

#[test]
fn what_only_the_service_sets_is_dropped_and_the_rest_kept() {
    let mut annotations = fe2o3_amqp_types::messaging::Annotations::new();
    annotations.insert("x-opt-sequence-number".into(), Value::Long(99));
    annotations.insert("x-opt-partition-key".into(), Value::from("p"));
    let mut payload = serde_amqp::to_vec(&MessageAnnotations(annotations)).unwrap();
    payload.extend(encoded("a", &Properties::default()));
    let message = Message::parse(&payload.into()).unwrap();
    assert_eq!(message.annotations.len(), 1);
    let again = Message::parse(&message.encoded(&Stamp::default()).into()).unwrap();
    assert_eq!(again.annotations, message.annotations);
    assert_eq!(body(&again), "a");
}

#[test]
fn application_properties_are_added_to_those_that_came() {
    let mut map = serde_amqp::primitives::OrderedMap::new();
    map.insert("n".to_owned(), SimpleValue::Int(1));
    let mut payload = serde_amqp::to_vec(&ApplicationProperties(map)).unwrap();
    payload.extend(encoded("a", &Properties::default()).split_off(4));
    let mut message = Message::parse(&payload.into()).unwrap();
    message.set_application([(dead_letter::REASON.to_owned(), "why".into())]);
    let payload = message.encoded(&Stamp::default());
    let again = Message::parse(&payload.into()).unwrap();
    assert_eq!(
        again.application(),
        [
            ("n".to_owned(), Value::Int(1)),
            (dead_letter::REASON.to_owned(), Value::from("why"))
        ]
    );
}

#[test]
fn a_batch_is_its_messages() {
    let mut payload = Vec::new();
    for name in ["a", "b"] {
        let inner = encoded(name, &Properties::default());
        payload.extend(serde_amqp::to_vec(&Data(inner.into())).unwrap());
    }
    let messages = Message::parse_all(facts::BATCH_FORMAT, &payload.into()).unwrap();
    let bodies: Vec<String> = messages.iter().map(body).collect();
    assert_eq!(bodies, ["a", "b"]);
    let none = Message::parse_all(facts::BATCH_FORMAT, &Bytes::new());
    assert!(none.is_err());
}

#[test]
fn what_is_no_message_is_refused() {
    for payload in [
        &b"\x00\x53"[..],
        b"\x40",
        b"\x00\x53\x75\xb0\xff\xff\xff\xff",
    ] {
        assert!(Message::parse(&Bytes::from_static(payload)).is_err());
    }
}
