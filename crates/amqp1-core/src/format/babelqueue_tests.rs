#![allow(clippy::unwrap_used)]

use serde_json::Value as Json;

use super::super::copy::tests::{envelope, job, ID};
use super::super::{decode, encode, Decoded};
use super::*;
use crate::format::body;
use crate::wire::read::{Items, Value};

const TRACE: &str = "7b3f9c2a-e41d-4f88-9b2a-1c0d5e6f7a8b";

fn message(mapping: PropertyMapping, group: Option<&'static str>) -> Bytes {
    let mut job = job(br#"{"order_id":1042,"\u00fc":"a\/b"}"#, true);
    job.options.headers.clear();
    job.options.trace_id = Some(TRACE.into());
    job.options.group = group.map(Cow::Borrowed);
    let bytes = encode(Format::Babelqueue, &job, &envelope(), || Ok(mapping)).unwrap();
    bytes.into()
}

fn read(mapping: PropertyMapping, group: Option<&'static str>) -> Decoded {
    decode(message(mapping, group), mapping).unwrap()
}

fn entries(items: Option<Items<'_>>) -> Vec<(String, Value<'_>)> {
    let (mut items, mut all) = (items.unwrap(), Vec::new());
    while let Some((key, value)) = items.entry().unwrap() {
        all.push((key.as_text().unwrap().to_owned(), value));
    }
    all
}

#[test]
fn the_envelope_is_the_same_on_every_broker() {
    for mapping in [
        PropertyMapping::Annotations,
        PropertyMapping::Typed,
        PropertyMapping::Jms,
    ] {
        let decoded = read(mapping, None);
        let whole = body::bytes(&decoded.message).unwrap();
        let json: Json = serde_json::from_slice(&whole).unwrap();
        let created_at = json["meta"]["created_at"].as_i64().unwrap();
        assert!((now_millis() - created_at).abs() < 60_000);
        let expected = format!(
            r#"{{"job":"urn:babel:orders:created","trace_id":"{TRACE}","data":{{"order_id":1042,"\u00fc":"a\/b"}},"meta":{{"id":"{ID}","queue":"orders","lang":"php","schema_version":1,"created_at":{created_at}}},"attempts":0}}"#
        );
        assert_eq!(std::str::from_utf8(&whole).unwrap(), expected);
        assert_eq!(decoded.name(), "urn:babel:orders:created");
        assert_eq!(decoded.id(), ID);
        assert_eq!(decoded.trace_id(), Some(TRACE.into()));
        assert_eq!(decoded.group(), None);
        assert_eq!(decoded.poison, None);
        let properties = decoded.message.properties().unwrap();
        assert_eq!(properties.subject, Some(&b"urn:babel:orders:created"[..]));
        assert_eq!(
            properties.correlation_id.unwrap().value(),
            Value::Text(TRACE)
        );
        assert_eq!(properties.message_id.unwrap().value(), Value::Text(ID));
        assert_eq!(properties.content_type, Some(&b"application/json"[..]));
    }
}

#[test]
fn rabbitmq_reads_annotations() {
    let decoded = read(PropertyMapping::Annotations, None);
    let message = &decoded.message;
    assert_eq!(
        entries(message.annotations().unwrap()),
        [
            (
                "x-basic-type".to_owned(),
                Value::Text("urn:babel:orders:created")
            ),
            ("x-schema-version".to_owned(), Value::Signed(1)),
            ("x-source-lang".to_owned(), Value::Text("php")),
            ("x-attempts".to_owned(), Value::Signed(0)),
        ]
    );
    assert_eq!(
        message.properties().unwrap().group_id,
        Some(&b"babelqueue"[..])
    );
    assert!(entries(message.application_properties().unwrap()).is_empty());
    assert!(decoded.headers().is_empty());
    // The job's own group takes precedence over the app-id.
    let decoded = read(PropertyMapping::Annotations, Some("session"));
    assert_eq!(decoded.group(), Some("session".into()));
}

#[test]
fn service_bus_reads_typed_application_properties() {
    let decoded = read(PropertyMapping::Typed, Some("session"));
    let message = &decoded.message;
    assert!(message.annotations().unwrap().is_none());
    let entries = entries(message.application_properties().unwrap());
    assert_eq!(
        entries[0],
        ("bq-schema-version".to_owned(), Value::Signed(1))
    );
    assert_eq!(
        entries[1],
        ("bq-source-lang".to_owned(), Value::Text("php"))
    );
    assert_eq!(entries[2].0, "bq-created-at");
    assert!(matches!(entries[2].1, Value::Signed(at) if at > 1_700_000_000_000));
    assert_eq!(entries.len(), 3);
    assert!(decoded.headers().is_empty());
    assert_eq!(
        message.properties().unwrap().group_id,
        Some(&b"session"[..])
    );
    let decoded = read(PropertyMapping::Typed, None);
    assert_eq!(decoded.message.properties().unwrap().group_id, None);
}

#[test]
fn jms_brokers_read_text() {
    let decoded = read(PropertyMapping::Jms, None);
    let message = &decoded.message;
    let urn = Value::Text("urn:babel:orders:created");
    let annotations = entries(message.annotations().unwrap());
    assert_eq!(annotations, [("x-opt-jms-type".to_owned(), urn)]);
    let text = |name: &str, value| (name.to_owned(), Value::Text(value));
    assert_eq!(
        entries(message.application_properties().unwrap()),
        [
            text("bq_schema_version", "1"),
            text("bq_source_lang", "php"),
            text("bq_attempts", "0"),
            text("bq_app_id", "babelqueue"),
        ]
    );
    assert!(decoded.headers().is_empty());
}

/// A message with this body, these application properties and this delivery-count.
fn foreign(body: &[u8], properties: &[(&str, &str)], delivery_count: u32) -> Bytes {
    let mut out = Vec::new();
    write::descriptor(&mut out, section::HEADER);
    write::list(&mut out, |out| {
        for _ in 0..4 {
            write::null(out);
        }
        write::uint(out, delivery_count);
        5
    });
    write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
    write::map(&mut out, |out| {
        for (name, value) in properties {
            write::string(out, name);
            write::string(out, value);
        }
        properties.len() as u32 * 2
    });
    write::descriptor(&mut out, section::DATA);
    write::binary(&mut out, body);
    out.into()
}

fn with_attempts(attempts: u32) -> String {
    format!(
        r#"{{"job":"urn:x","trace_id":"t","data":{{}},"meta":{{"schema_version":1}},"attempts":{attempts}}}"#
    )
}

#[test]
fn attempts_are_counted_as_the_broker_counts() {
    let attempts = |mapping, body: u32, delivery_count| {
        let bytes = foreign(with_attempts(body).as_bytes(), &[], delivery_count);
        decode(bytes, mapping).unwrap().earlier_attempts
    };
    for (body, delivered, rabbitmq, others) in
        [(0, 0, 0, 0), (0, 2, 2, 2), (2, 4, 6, 4), (5, 1, 6, 5)]
    {
        assert_eq!(
            attempts(PropertyMapping::Annotations, body, delivered),
            rabbitmq
        );
        assert_eq!(attempts(PropertyMapping::Typed, body, delivered), others);
        assert_eq!(attempts(PropertyMapping::Jms, body, delivered), others);
    }
}

#[test]
fn the_property_says_the_schema_version_too() {
    for (version, poison) in [
        ("1", None),
        ("", None),
        (" \t", None),
        ("2", Some("unsupported_schema_version")),
        ("01", Some("unsupported_schema_version")),
        (" 1", Some("unsupported_schema_version")),
        ("\u{a0}", Some("unsupported_schema_version")),
    ] {
        for name in ["bq-schema-version", "bq_schema_version"] {
            let bytes = foreign(with_attempts(0).as_bytes(), &[(name, version)], 0);
            let decoded = decode(bytes, PropertyMapping::Typed).unwrap();
            assert_eq!(decoded.poison, poison, "{version:?}");
            assert_eq!(decoded.format, Format::Babelqueue);
        }
    }
}

#[test]
fn the_property_alone_makes_an_envelope_of_it() {
    let bytes = foreign(b"{\"n\":1}", &[("bq-schema-version", "1")], 0);
    let decoded = decode(bytes, PropertyMapping::Typed).unwrap();
    assert_eq!(decoded.poison, Some("missing_urn"));
    assert_eq!(decoded.body(), &b"{\"n\":1}"[..]);
}

#[test]
fn what_has_failed_is_not_poison_again() {
    for failed in [("rr_failed_reason", "poison"), ("DeadLetterReason", "x")] {
        let bytes = foreign(b"{}", &[("bq-schema-version", "1"), failed], 0);
        let decoded = decode(bytes, PropertyMapping::Typed).unwrap();
        assert_eq!((decoded.format, decoded.poison), (Format::Babelqueue, None));
    }
}

#[test]
fn data_is_part_of_the_message_not_a_copy() {
    let bytes = message(PropertyMapping::Annotations, None);
    let range = bytes.as_ptr_range();
    let decoded = decode(bytes.clone(), PropertyMapping::Annotations).unwrap();
    assert!(range.contains(&decoded.body().as_ptr()));
}
