#![allow(clippy::unwrap_used)]

use super::super::copy::tests::{envelope, job, written, ID};
use super::super::{decode, encode};
use super::*;
use crate::format::PropertyMapping;
use crate::wire::read::Value;

fn foreign(body: &[u8]) -> Decoded {
    let mut out = Vec::new();
    write::descriptor(&mut out, section::DATA);
    write::binary(&mut out, body);
    decode(out.into(), PropertyMapping::Jms).unwrap()
}

#[test]
fn a_body_that_is_not_utf_8_survives() {
    let every_byte: Vec<u8> = (0..=255).collect();
    let decoded = written(Format::Amqp1, &every_byte, false);
    assert_eq!((decoded.format, decoded.json), (Format::Amqp1, false));
    assert_eq!(decoded.body(), every_byte);
}

#[test]
fn a_body_without_escapes_is_not_copied() {
    let decoded = written(Format::Amqp1, b"plain text", false);
    let range = decoded.message.bytes().as_ptr_range();
    assert!(range.contains(&decoded.body().as_ptr()));
}

#[test]
fn a_routing_key_is_subject_and_property() {
    let mut envelope = envelope();
    envelope.routing_key = Some("events.order");
    let mapping = || Ok(PropertyMapping::Annotations);
    let bytes = encode(Format::Amqp1, &job(b"x", false), &envelope, mapping).unwrap();
    let decoded = decode(bytes.into(), PropertyMapping::Annotations).unwrap();
    assert_eq!(decoded.name(), "urn:babel:orders:created");
    assert_eq!(decoded.id(), ID);
    assert_eq!(decoded.headers().len(), 3);
    let properties = decoded.message.properties().unwrap();
    assert_eq!(properties.subject, Some(&b"events.order"[..]));
    let mut items = decoded.message.application_properties().unwrap().unwrap();
    let first = items.entry().unwrap().unwrap();
    assert_eq!(
        first,
        (Value::Text("x-routing-key"), Value::Text("events.order"))
    );
}

#[test]
fn odd_wrappers_are_jobs() {
    let decoded =
        foreign(br#"{"header":{"rr_job":5,"rr_headers":"!","rr_priority":"x"},"body":null}"#);
    assert_eq!(decoded.format, Format::Amqp1);
    assert_eq!(decoded.name(), DEDUCED);
    assert_eq!(decoded.priority, None);
    assert_eq!((decoded.body(), decoded.json), (&b"null"[..], true));
    assert!(decoded.id().is_empty() && decoded.headers().is_empty());
    let decoded =
        foreign(br#"{"header":{"rr_id":"","rr_body_encoding":"base64"},"body":"not base64!"}"#);
    assert_eq!(decoded.body(), &b"not base64!"[..]);
    assert!(decoded.id().is_empty());
}

#[test]
fn what_only_looks_like_a_wrapper_is_none() {
    for body in [
        &br#"{"header":{"rr_id":"x"}}"#[..],
        br#"{"header":"rr_id","body":"x"}"#,
        br#"{"header":{"id":"x"},"body":"x"}"#,
        br#"{"rr_id":"x","body":"x"}"#,
    ] {
        let decoded = foreign(body);
        assert_eq!((decoded.format, decoded.body()), (Format::Raw, body));
    }
}
