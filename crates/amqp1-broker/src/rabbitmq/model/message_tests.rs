#![allow(clippy::unwrap_used, clippy::expect_used)]

use fe2o3_amqp_types::messaging::{
    message::__private::Serializable, ApplicationProperties, Body, Data, Message as Typed,
    Properties,
};
use serde_amqp::primitives::Timestamp;

use super::*;

fn encoded(header: Option<Header>, annotations: Vec<(&str, Value)>) -> Bytes {
    let map: Annotations = annotations
        .into_iter()
        .map(|(k, v)| (OwnedKey::from(k), v))
        .collect();
    let message = Typed {
        header,
        delivery_annotations: None,
        message_annotations: (!map.is_empty()).then_some(MessageAnnotations(map)),
        properties: Some(
            Properties::builder()
                .to("/queues/q")
                .absolute_expiry_time(Timestamp::from(77_000))
                .build(),
        ),
        application_properties: Some(
            ApplicationProperties::builder()
                .insert("tenant", "a")
                .build(),
        ),
        body: Body::<Value>::Data(vec![Data(b"body".to_vec().into())].into()),
        footer: None,
    };
    serde_amqp::to_vec(&Serializable(message)).unwrap().into()
}

fn bytes(mut payload: Payload) -> Vec<u8> {
    let mut out = BytesMut::new();
    let mut all = Vec::new();
    let start = crate::wire::transfer::Start {
        delivery_id: 0,
        delivery_tag: &[],
        message_format: 0,
        settled: false,
    };
    crate::wire::transfer::encode(&mut out, 0, 0, Some(&start), &mut payload, u32::MAX);
    let frame = crate::wire::frame::decode(out.freeze()).unwrap();
    all.extend_from_slice(&frame.payload);
    all
}

/// A message with this body and these annotations.
pub(crate) fn annotated(body: &str, annotations: &[(&str, Value)]) -> Message {
    let mut encoded = vec![0x00, 0x53, 0x75, 0xa0, body.len() as u8];
    encoded.extend_from_slice(body.as_bytes());
    let mut message = Message::parse(0, &encoded.into()).unwrap();
    let map = annotations
        .iter()
        .map(|(k, v)| (Symbol::from(*k), v.clone()));
    if !annotations.is_empty() {
        message.annotate(map);
    }
    message
}

/// The body of a message made by [`annotated`].
pub(crate) fn body(message: &Message) -> String {
    String::from_utf8(message.bare[5..].to_vec()).unwrap()
}

impl Message {
    /// A decoded message annotation.
    pub(crate) fn annotation_value(&self, name: &str) -> Option<Value> {
        serde_amqp::from_slice(self.annotation(name)?).ok()
    }
}

const FIRST: DeliveryHeader = DeliveryHeader {
    ttl: None,
    first_acquirer: true,
    delivery_count: 0,
    acquired_count: 0,
};

#[test]
fn the_bare_message_is_kept_octet_for_octet() {
    let header = Header::builder().durable(true).priority(9).ttl(5000);
    let payload = encoded(Some(header.build()), vec![("x-opt-a", Value::Int(1))]);
    let message = Message::parse(0, &payload).unwrap();
    assert!(message.durable);
    assert_eq!((message.priority, message.ttl), (9, Some(5000)));
    assert_eq!(message.to(), Some("/queues/q"));
    assert_eq!(message.absolute_expiry, Some(77_000));

    let out = bytes(message.payload(FIRST));
    let header_end = scan::check(&out, 0).unwrap();
    let sent: Header = serde_amqp::from_slice(&out[..header_end]).unwrap();
    assert!(sent.durable && sent.first_acquirer);
    let came = scan::check(&payload, 0).unwrap();
    assert_eq!(out[header_end..], payload[came..]);
}

#[test]
fn annotating_leaves_the_bare_message_and_other_annotations() {
    let payload = encoded(None, vec![("x-opt-a", Value::Int(1))]);
    let mut message = Message::parse(0, &payload).unwrap();
    let bare = message.bare.clone();
    message.annotate([
        (Symbol::from("x-opt-b"), Value::from("two")),
        (Symbol::from("x-opt-a"), Value::Int(3)),
    ]);
    assert_eq!(message.bare, bare);
    let section: MessageAnnotations = serde_amqp::from_slice(&message.annotations).unwrap();
    assert_eq!(section.0.len(), 2);
    assert_eq!(
        section.0.get(&OwnedKey::from("x-opt-a")),
        Some(&Value::Int(3))
    );
}

#[test]
fn delivery_time_is_read_from_each_annotation_and_type() {
    let due = |name, value| {
        Message::parse(0, &encoded(None, vec![(name, value)]))
            .unwrap()
            .due(1000)
    };
    let at = |ms| Value::Timestamp(Timestamp::from(ms));
    assert_eq!(due("x-opt-scheduled-enqueue-time", at(5000)), Some(5000));
    assert_eq!(due("x-opt-delivery-time", at(5000)), Some(5000));
    assert_eq!(due("x-opt-delivery-time", Value::Long(5000)), Some(5000));
    assert_eq!(due("x-opt-delivery-delay", Value::Uint(5000)), Some(6000));
    assert_eq!(due("x-opt-delivery-time", Value::Long(999)), None, "past");
    assert_eq!(due("x-opt-delivery-delay", Value::Int(-5)), None);
    assert_eq!(due("x-opt-other", Value::Long(5000)), None);
}

#[test]
fn broken_payloads_are_refused_not_stored() {
    for payload in [
        &b""[..],
        b"junk",
        &[0x00, 0x53, 0x75],
        &[0x00, 0x53, 0x75, 0xb0, 0xff, 0xff, 0xff, 0xff],
        &[0x00, 0x53, 0x70, 0x45],
        &[0x00, 0x53, 0x10, 0x45],
        // A header after the body.
        &[0x00, 0x53, 0x75, 0xa0, 0, 0x00, 0x53, 0x70, 0x45],
    ] {
        let payload = Bytes::copy_from_slice(payload);
        assert!(Message::parse(0, &payload).is_err(), "{payload:?}");
    }
}

#[test]
fn the_amqp_value_body_is_found_behind_properties() {
    let mut out = vec![0x00, 0x53, 0x73, 0xc0, 4, 3, 0x40, 0x40, 0x40];
    out.extend_from_slice(&[0x00, 0x53, 0x77, 0xa1, 1, b'v']);
    let message = Message::parse(0, &out.into()).unwrap();
    assert_eq!(message.amqp_value(), Some(Value::from("v")));
}
