#![allow(clippy::unwrap_used)]

use bstr::BString;

use std::borrow::Cow;
use std::time::Duration;

use super::*;
use crate::format::envelope::DelayMark;
use crate::format::envelope::Envelope;
use crate::format::PropertyMapping;
use crate::format::{decode, encode, failure, undecoded, AllHeaders};
use crate::job::failure::FailureFacts;
use crate::job::properties::JobProperties;
use crate::job::HeaderValue;
use crate::job::{Job, JobOptions, Payload};
use crate::wire::read::Value;

pub(in crate::format) const ID: &str = "f1e2d3c4-b5a6-4789-90ab-cdef01234567";

pub(in crate::format) fn envelope() -> Envelope<'static> {
    Envelope {
        id: ID,
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

pub(in crate::format) fn job(payload: &[u8], json: bool) -> Job<'_> {
    let list = HeaderValue::List(vec![HeaderValue::Text("a".into()), HeaderValue::Int(2)]);
    Job {
        name: Cow::Borrowed("urn:babel:orders:created"),
        payload: Payload {
            bytes: Cow::Borrowed(payload),
            json,
            keep: None,
        },
        options: JobOptions {
            headers: vec![
                ("tenant".into(), HeaderValue::Text("ü/1".into())),
                ("tags".into(), list),
                ("n".into(), HeaderValue::Int(5)),
            ],
            ..JobOptions::default()
        },
    }
}

pub(in crate::format) fn written(format: Format, payload: &[u8], json: bool) -> Decoded {
    let mapping = PropertyMapping::Annotations;
    let bytes = encode(format, &job(payload, json), &envelope(), || Ok(mapping)).unwrap();
    read(bytes.into())
}

fn read(bytes: Bytes) -> Decoded {
    decode(bytes, PropertyMapping::Annotations).unwrap()
}

fn copied(decoded: &Decoded, changes: &Changes<'_>) -> Decoded {
    read(copy(decoded, changes))
}

fn facts() -> FailureFacts {
    FailureFacts {
        reason: "failed".to_owned(),
        error: Some("Payment \"gateway\" timeout ü".to_owned()),
        exception: Some("App\\Exceptions\\GatewayTimeout".to_owned()),
        queue: Some("orders".to_owned()),
        attempts: 3,
        failed_at: Some(1_749_132_730_000),
    }
}

fn same(one: &Decoded, other: &Decoded) {
    assert_eq!(one.format, other.format);
    assert_eq!(one.id(), other.id());
    assert_eq!(one.name(), other.name());
    assert_eq!(one.body(), other.body());
    assert_eq!(one.json, other.json);
    assert_eq!(one.pipeline(), other.pipeline());
    assert_eq!(one.trace_id(), other.trace_id());
    assert_eq!(one.group(), other.group());
    assert_eq!(one.priority, other.priority);
    assert_eq!(one.durable, other.durable);
    assert_eq!(one.all_headers(), other.all_headers());
}

#[test]
fn every_format_goes_to_the_failed_queue_and_back() {
    for format in Format::ALL {
        let original = written(format, br#"{"order_id":1042,"a":[]}"#, true);
        assert_eq!(original.format, format);
        assert_eq!(original.body(), &br#"{"order_id":1042,"a":[]}"#[..]);
        assert!(original.json && failure(&original).is_none());
        let retried = copied(
            &original,
            &Changes {
                attempts: 2,
                delay: Duration::from_millis(1500),
                ..Changes::default()
            },
        );
        same(&original, &retried);
        assert_eq!(retried.earlier_attempts, 2);
        assert_eq!(retried.delay, 1.5);
        let facts = facts();
        let failed = copied(
            &retried,
            &Changes {
                attempts: 3,
                failure: FailureChange::Set(&facts),
                ..Changes::default()
            },
        );
        same(&original, &failed);
        assert_eq!(failure(&failed).as_ref(), Some(&facts), "{format:?}");
        assert_eq!(failed.earlier_attempts, 3);
        let kept = copied(&failed, &Changes::default());
        assert_eq!(failure(&kept).as_ref(), Some(&facts));
        let replayed = copied(
            &failed,
            &Changes {
                failure: FailureChange::Forget,
                ..Changes::default()
            },
        );
        same(&original, &replayed);
        assert!(failure(&replayed).is_none());
        assert_eq!(replayed.earlier_attempts, 0);
        let body = |decoded: &Decoded| body::bytes(&decoded.message).unwrap();
        if format == Format::Amqp1 {
            // Its wrapper contains the delay that was last requested.
            assert_ne!(body(&replayed), body(&original));
        } else {
            assert_eq!(body(&replayed), body(&original), "{format:?}");
        }
    }
}

#[test]
fn headers_are_added_and_replaced_in_every_format() {
    let all: AllHeaders = vec![
        ("tenant".into(), vec!["ü/1".into()]),
        ("n".into(), vec!["5".into()]),
        ("tags".into(), vec!["c".into()]),
        ("new".into(), vec!["1.5".into(), "x".into()]),
    ];
    for format in Format::ALL {
        let new = vec![HeaderValue::Float(1.5), HeaderValue::Text("x".into())];
        let headers = [
            (Cow::Borrowed("tags"), HeaderValue::Text("c".into())),
            (Cow::Borrowed("new"), HeaderValue::List(new)),
        ];
        let copied = copied(
            &written(format, b"{}", false),
            &Changes {
                headers: &headers,
                ..Changes::default()
            },
        );
        assert_eq!(copied.all_headers(), all, "{format:?}");
        let property = |name: &str| {
            let items = copied.message.application_properties().unwrap().unwrap();
            let pairs: Vec<_> = pairs(Some(items))
                .filter(|(key, _)| key_of(key) == Some(name.as_bytes()))
                .map(|(_, value)| Reader::new(value).value().unwrap())
                .collect();
            pairs
        };
        assert_eq!(property("tags"), [Value::Text("c")]);
        assert_eq!(property("new"), [Value::Float(1.5)]);
        assert_eq!(property("n"), [Value::Signed(5)]);
    }
}

/// A message as a foreign producer may write it: all sections, odd types.
fn foreign() -> Bytes {
    let mut out = Vec::new();
    write::descriptor(&mut out, section::HEADER);
    write::list(&mut out, |out| {
        write::bool(out, true);
        write::ubyte(out, 9);
        write::uint(out, 60_000);
        write::bool(out, true);
        write::uint(out, 4);
        5
    });
    write::descriptor(&mut out, section::MESSAGE_ANNOTATIONS);
    write::map(&mut out, |out| {
        write::symbol(out, "x-opt-theirs");
        write::ubyte(out, 3);
        for broker in ["x-exchange", "x-first-death-queue", "x-opt-deaths", "x-cc"] {
            write::symbol(out, broker);
            write::string(out, "gone");
        }
        10
    });
    write::descriptor(&mut out, section::PROPERTIES);
    write::list(&mut out, |out| {
        out.push(0x98);
        out.extend_from_slice(&[7; 16]); // message-id, a uuid
        write::binary(out, b"guest"); // user-id
        write::string(out, "/queues/old");
        write::string(out, "Subject");
        write::string(out, "reply");
        write::ulong(out, 77);
        write::symbol(out, "text/x-theirs");
        write::symbol(out, "gzip");
        write::timestamp(out, 1);
        write::timestamp(out, 2);
        write::string(out, "group");
        write::uint(out, 12);
        write::string(out, "reply-group");
        13
    });
    write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
    write::map(&mut out, |out| {
        write::string(out, "ubyte");
        write::ubyte(out, 1);
        write::string(out, "when");
        write::timestamp(out, 5);
        4
    });
    for part in [&b"one\xff"[..], b"two"] {
        write::descriptor(&mut out, section::DATA);
        write::binary(&mut out, part);
    }
    write::descriptor(&mut out, 0x78);
    write::map(&mut out, |_| 0);
    out.into()
}

#[test]
fn what_nothing_changes_stays_as_it_was() {
    let copied = copied(
        &read(foreign()),
        &Changes {
            to: Some("/queues/new"),
            attempts: 5,
            delay: Duration::from_secs(2),
            delay_mark: DelayMark::XDelay,
            ..Changes::default()
        },
    );
    let message = &copied.message;
    let header = message.header().unwrap();
    assert_eq!((header.priority, header.ttl), (Some(9), None));
    assert_eq!(header.delivery_count, 0);
    assert!(header.durable);
    let fields: Vec<_> = message.property_items().unwrap().unwrap().collect();
    let fields: Vec<_> = fields.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        fields,
        [
            Value::Uuid([7; 16]),
            Value::Null,
            Value::Text("/queues/new"),
            Value::Text("Subject"),
            Value::Text("reply"),
            Value::Unsigned(77),
            Value::Symbol("text/x-theirs"),
            Value::Symbol("gzip"),
            Value::Null,
            Value::Timestamp(2),
            Value::Text("group"),
            Value::Unsigned(12),
            Value::Text("reply-group"),
        ]
    );
    let map = |items: Option<Items<'_>>| -> Vec<(String, Vec<u8>)> {
        pairs(items)
            .map(|(key, value)| {
                (
                    BString::from(key_of(key).unwrap()).to_string(),
                    value.to_vec(),
                )
            })
            .collect()
    };
    let written = |write: fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        out
    };
    assert_eq!(
        map(message.annotations().unwrap()),
        [
            ("x-opt-theirs".to_owned(), vec![0x50, 3]),
            ("x-delay".to_owned(), written(|out| write::long(out, 2000))),
        ]
    );
    assert_eq!(
        map(message.application_properties().unwrap()),
        [
            ("ubyte".to_owned(), vec![0x50, 1]),
            ("when".to_owned(), written(|out| write::timestamp(out, 5))),
            ("x-delay".to_owned(), written(|out| write::long(out, 2000))),
            ("rr_attempts".to_owned(), written(|out| write::int(out, 5))),
        ]
    );
    assert!(matches!(message.body(), Body::DataMany(parts) if parts.len() == 2));
    assert_eq!(copied.body(), &b"one\xfftwo"[..]);
}

#[test]
fn a_message_without_an_id_keeps_the_one_it_got() {
    let mut bytes = Vec::new();
    write::descriptor(&mut bytes, section::VALUE);
    write::string(&mut bytes, "text");
    let original = read(bytes.into());
    let copied = copied(&original, &Changes::default());
    same(&original, &copied);
    assert!(matches!(copied.message.body(), Body::Value(_)));
    assert!(copied.message.annotations().unwrap().is_none());
    assert!(copied.message.application_properties().unwrap().is_none());
}

#[test]
fn what_cannot_be_decoded_is_the_body_of_its_copy() {
    let undecoded = undecoded(Bytes::from_static(b"\x00\x01junk"));
    let facts = FailureFacts {
        exception: None,
        ..facts()
    };
    let failed = copied(
        &undecoded,
        &Changes {
            failure: FailureChange::Set(&facts),
            ..Changes::default()
        },
    );
    assert_eq!((failed.id(), failed.durable), (undecoded.id(), true));
    assert_eq!(failed.body(), &b"\x00\x01junk"[..]);
    assert_eq!(failure(&failed), Some(facts));
}

#[test]
fn what_the_broker_dead_lettered_itself_is_a_failure() {
    let dead = |queue: &str| {
        let mut out = Vec::new();
        write::descriptor(&mut out, section::MESSAGE_ANNOTATIONS);
        write::map(&mut out, |out| {
            write::symbol(out, "x-last-death-queue");
            write::string(out, queue);
            write::symbol(out, "x-last-death-reason");
            write::string(out, "delivery_limit");
            4
        });
        failure(&read(out.into()))
    };
    let facts = dead("orders").unwrap();
    assert_eq!(
        (facts.reason.as_str(), facts.queue.as_deref()),
        ("delivery_limit", Some("orders"))
    );
    assert_eq!(dead("amqp1.delay.250.20000.orders"), None);
}

#[test]
fn what_ended_without_a_word_is_told_in_the_copy_that_was_made_for_it_and_no_further() {
    let told = |bytes: &Bytes| {
        let decoded = decode(bytes.clone(), PropertyMapping::Typed).unwrap();
        (
            decoded.earlier_attempts,
            decoded.history.unaccounted(history::Ledger::Lost),
        )
    };
    for format in [
        Format::Roadrunner,
        Format::Amqp1,
        Format::Babelqueue,
        Format::Raw,
    ] {
        let job = written(format, br#"{"order":1}"#, true);
        let changes = Changes {
            attempts: 8,
            lost: 5,
            ..Changes::default()
        };
        let renewed = copy(&job, &changes);
        assert_eq!(told(&renewed), (8, 5), "{format:?}");
        let changes = Changes {
            attempts: 9,
            ..Changes::default()
        };
        let retried = copy(&read(renewed), &changes);
        assert_eq!(told(&retried), (9, 0), "{format:?}");
    }
}
