#![allow(clippy::unwrap_used)]

use std::borrow::Cow;

use std::time::Duration;

use bstr::BString;
use bytes::Bytes;

use super::*;
use crate::format::envelope::{DelayMark, ROUTING_KEY_HEADER};
use crate::format::PropertyMapping;
use crate::format::{AllHeaders, Decoded, DEDUCED};
use crate::job::properties::JobProperties;
use crate::job::HeaderValue;
use crate::wire::message::section;
use crate::wire::DecodeError;

fn decode(payload: Bytes) -> Result<Decoded, DecodeError> {
    crate::format::decode(payload, PropertyMapping::Annotations)
}
use crate::job::{JobOptions, Payload};

fn envelope() -> Envelope<'static> {
    Envelope {
        id: "the-id",
        pipeline: "orders",
        durable: true,
        priority: Some(7),
        ttl: None,
        expires_at: None,
        delay: Duration::ZERO,
        delay_mark: DelayMark::None,
        to: None,
        routing_key: None,
        partition_key: None,
        properties: JobProperties::NONE,
        without_body: false,
    }
}

fn job(bytes: &[u8], headers: Vec<(&'static str, HeaderValue<'static>)>) -> Job<'static> {
    Job {
        name: Cow::Borrowed("ProcessOrder"),
        payload: Payload {
            bytes: Cow::Owned(bytes.to_vec()),
            json: false,
            keep: None,
        },
        options: JobOptions {
            headers: headers
                .into_iter()
                .map(|(name, value)| (Cow::Borrowed(name), value))
                .collect(),
            trace_id: Some(Cow::Borrowed("trace-1")),
            ..JobOptions::default()
        },
    }
}

#[test]
fn a_job_survives_the_way() {
    let every_byte: Vec<u8> = (0..=255).collect();
    let headers = vec![
        ("tenant", HeaderValue::Text("a \"b\" ü".into())),
        ("n", HeaderValue::Int(5)),
        ("f", HeaderValue::Float(1.0)),
        ("b", HeaderValue::Bool(false)),
        (
            "list",
            HeaderValue::List(vec![HeaderValue::Int(1), HeaderValue::Text("x".into())]),
        ),
        ("rr_id", HeaderValue::Text("forged".into())),
        (ROUTING_KEY_HEADER, HeaderValue::Text("rk".into())),
    ];
    let decoded = decode(encode(&job(&every_byte, headers), &envelope()).into()).unwrap();
    assert_eq!(decoded.id(), "the-id");
    assert_eq!(decoded.name(), "ProcessOrder");
    assert_eq!(decoded.pipeline(), Some("orders".into()));
    assert_eq!(decoded.body(), &every_byte[..]);
    assert_eq!(decoded.trace_id(), Some("trace-1".into()));
    assert_eq!(decoded.priority, Some(7));
    assert!(!decoded.json);
    let of = |values: &[&str]| values.iter().map(|v| BString::from(*v)).collect::<Vec<_>>();
    assert_eq!(
        headers_of(&decoded),
        [
            ("tenant".into(), of(&["a \"b\" ü"])),
            ("n".into(), of(&["5"])),
            ("f".into(), of(&["1.0"])),
            ("b".into(), of(&["false"])),
            ("list".into(), of(&["1", "x"])),
            ("rr_id".into(), of(&["forged"])),
        ]
    );
}

fn headers_of(decoded: &Decoded) -> AllHeaders {
    decoded.all_headers()
}

/// The headers of a message with this `rr_headers`.
fn headers_in(json: &[u8]) -> AllHeaders {
    let mut out = Vec::new();
    write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
    write::map(&mut out, |out| {
        write::string(out, "rr_headers");
        write::binary(out, json);
        2
    });
    decode(out.into()).unwrap().all_headers()
}

/// fe2o3-amqp's own decoder judges the types.
#[test]
fn the_types_are_those_of_the_format() {
    use fe2o3_amqp_types::messaging::message::__private::Deserializable;
    use fe2o3_amqp_types::messaging::{Body, Message};
    use fe2o3_amqp_types::primitives::SimpleValue;
    let headers = vec![
        ("s", HeaderValue::Text("x".into())),
        ("i", HeaderValue::Int(1 << 40)),
        ("f", HeaderValue::Float(2.5)),
        ("b", HeaderValue::Bool(true)),
    ];
    let mut envelope = envelope();
    envelope.delay = Duration::from_millis(1500);
    envelope.delay_mark = DelayMark::XDelay;
    let bytes = encode(&job(b"payload", headers), &envelope);
    let decoded: Deserializable<Message<Body<serde_amqp::Value>>> =
        serde_amqp::from_slice(&bytes).unwrap();
    let message = decoded.0;
    let header = message.header.unwrap();
    assert!(header.durable);
    assert_eq!(header.priority.0, 7);
    let properties = message.properties.unwrap();
    assert_eq!(properties.subject.as_deref(), Some("ProcessOrder"));
    assert_eq!(
        properties.content_type.unwrap().as_str(),
        "application/octet-stream"
    );
    let map = message.application_properties.unwrap();
    let get = |name: &str| map.get(name).cloned().unwrap();
    assert_eq!(get("rr_id"), SimpleValue::String("the-id".into()));
    assert_eq!(get("rr_delay"), SimpleValue::Int(1));
    assert_eq!(get("rr_priority"), SimpleValue::Long(7));
    assert_eq!(get("rr_auto_ack"), SimpleValue::Bool(false));
    assert_eq!(get("x-delay"), SimpleValue::Long(1500));
    assert!(matches!(get("rr_headers"), SimpleValue::Binary(_)));
    assert_eq!(get("i"), SimpleValue::Long(1 << 40));
    assert_eq!(get("b"), SimpleValue::Bool(true));
    assert!(matches!(get("f"), SimpleValue::Double(_)));
    assert!(message.message_annotations.is_some());
}

#[test]
fn a_foreign_message_is_a_job() {
    let mut out = Vec::new();
    write::descriptor(&mut out, section::PROPERTIES);
    write::list(&mut out, |out| {
        write::ulong(out, 42);
        write::null(out);
        write::null(out);
        write::string(out, "Subject");
        4
    });
    write::descriptor(&mut out, section::VALUE);
    write::map(&mut out, |out| {
        write::string(out, "a");
        write::ulong(out, 1);
        2
    });
    let decoded = decode(out.into()).unwrap();
    assert_eq!(decoded.id(), "42");
    assert_eq!(decoded.name(), "Subject");
    assert!(decoded.json);
    assert_eq!(decoded.body(), br#"{"a":1}"#);
    assert_eq!(decode(Bytes::new()).unwrap().name(), DEDUCED);
}

#[test]
fn headers_that_are_no_lists_of_strings_are_text_all_the_same() {
    let json = br#"{"a":["1","\u00fc"],"b":7,"c":null,"d":[],"e":[null,1.5,true,["x",2],{"k":"v"}],
        "f":-1,"g":{"h":[1]},"i":"x","j":false,"k":1e400}"#;
    let headers = headers_in(json);
    let texts = |name: &str| {
        let found = headers.iter().find(|(known, _)| known == name);
        found.map(|(_, values)| values.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(texts("a").unwrap(), ["1", "ü"]);
    assert_eq!(texts("b").unwrap(), ["7"]);
    assert_eq!((texts("c"), texts("d")), (None, None));
    let mixed = ["null", "1.5", "true", r#"["x",2]"#, r#"{"k":"v"}"#];
    assert_eq!(texts("e").unwrap(), mixed);
    assert_eq!(texts("f").unwrap(), ["-1"]);
    assert_eq!(texts("g").unwrap(), [r#"{"h":[1]}"#]);
    assert_eq!(texts("i").unwrap(), ["x"]);
    assert_eq!(texts("j").unwrap(), ["false"]);
    // Not a valid number: the headers are read up to here.
    assert_eq!(texts("k"), None);
}

#[test]
fn properties_are_headers_besides_those_of_the_envelope() {
    let mut out = Vec::new();
    write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
    write::map(&mut out, |out| {
        write::string(out, "before");
        write::uint(out, 7);
        write::string(out, "known");
        write::string(out, "as a property");
        write::null(out);
        write::string(out, "a key that is no name");
        write::string(out, "x-delay");
        write::long(out, 5);
        write::string(out, "rr_job");
        write::string(out, "J");
        write::string(out, "rr_headers");
        write::string(out, r#"{"known":["as a header"]}"#);
        write::symbol(out, "after");
        write::descriptor(out, 0x99);
        write::list(out, |out| {
            write::bool(out, true);
            1
        });
        14
    });
    let decoded = decode(out.into()).unwrap();
    let expected: AllHeaders = vec![
        ("known".into(), vec!["as a header".into()]),
        ("before".into(), vec!["7".into()]),
        ("after".into(), vec!["[true]".into()]),
    ];
    assert_eq!(decoded.all_headers(), expected);
}

#[test]
fn a_map_that_is_malformed_anywhere_is_no_job() {
    let message = |map: fn(&mut Vec<u8>) -> u32| {
        let mut out = Vec::new();
        write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
        write::map(&mut out, map);
        decode(out.into())
    };
    assert!(message(|out| {
        write::string(out, "rr_job");
        write::string(out, "J");
        2
    })
    .is_ok());
    let malformed: [fn(&mut Vec<u8>) -> u32; 2] = [
        // A key without a value.
        |out| {
            write::string(out, "rr_job");
            write::string(out, "J");
            write::string(out, "alone");
            3
        },
        // A value that exceeds the map.
        |out| {
            write::string(out, "rr_job");
            out.extend_from_slice(&[0xa1, 9, b'J']);
            2
        },
    ];
    for map in malformed {
        assert!(message(map).is_err());
    }
}

#[test]
fn broken_headers_do_not_break_the_job() {
    assert_eq!(headers_in(br#"{"a":["1"],"b":7,"c":"#).len(), 2);
    assert_eq!(headers_in(br#"{"a":["1"],"b":["2"],"c":["3]}"#).len(), 2);
}
