#![allow(clippy::unwrap_used)]
//! Messages from peers that use neither UTF-8 nor our types.

use std::borrow::Cow;

use bstr::BString;
use bytes::Bytes;

use super::super::body::{self, Plain};
use super::super::changes::{Changes, FailureChange};
use super::super::copy::copy;
use super::super::{AllHeaders, Decoded};
use super::decode;
use crate::format::PropertyMapping;
use crate::job::failure::FailureFacts;
use crate::job::HeaderValue;
use crate::wire::message::section;
use crate::wire::read::Value;
use crate::wire::write;

/// The 16 bytes of a UUID, as 0-9-1 clients put them into text fields.
const UUID: &[u8] = b"\xf4\x7a\xc1\x0b\x58\xcc\x43\x72\xa5\x67\x0e\x02\xb2\xc3\xd4\x79";

/// A string or symbol of any bytes, which none of our encoders writes.
fn ill_formed(out: &mut Vec<u8>, constructor: u8, bytes: &[u8]) {
    out.extend_from_slice(&[constructor, bytes.len() as u8]);
    out.extend_from_slice(bytes);
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    ill_formed(out, 0xa1, bytes);
}

fn symbol(out: &mut Vec<u8>, bytes: &[u8]) {
    ill_formed(out, 0xa3, bytes);
}

fn read(bytes: impl Into<Bytes>) -> Decoded {
    decode(bytes.into(), PropertyMapping::Annotations).unwrap()
}

fn facts() -> FailureFacts {
    FailureFacts {
        reason: "failed".to_owned(),
        ..FailureFacts::default()
    }
}

/// The copy for a retry, the copy in the failed queue, and the copy replayed from there.
fn copies(decoded: &Decoded) -> [Decoded; 3] {
    let facts = facts();
    let retried = Changes {
        attempts: 1,
        ..Changes::default()
    };
    let failed = Changes {
        failure: FailureChange::Set(&facts),
        ..Changes::default()
    };
    let failed = read(copy(decoded, &failed));
    let back = Changes {
        failure: FailureChange::Forget,
        ..Changes::default()
    };
    let back = read(copy(&failed, &back));
    [read(copy(decoded, &retried)), failed, back]
}

fn property<'a>(decoded: &'a Decoded, name: &[u8]) -> Value<'a> {
    let mut items = decoded.message.application_properties().unwrap().unwrap();
    while let Some((key, value)) = items.entry().unwrap() {
        if key.as_name() == Some(name) {
            return value;
        }
    }
    Value::Null
}

#[test]
fn text_fields_of_any_bytes_are_kept_on_every_way() {
    let mut out = Vec::new();
    write::descriptor(&mut out, section::MESSAGE_ANNOTATIONS);
    write::map(&mut out, |out| {
        symbol(out, b"x-\xff");
        string(out, UUID);
        2
    });
    write::descriptor(&mut out, section::PROPERTIES);
    write::list(&mut out, |out| {
        string(out, UUID);
        write::null(out);
        write::null(out);
        string(out, b"subject \xff");
        string(out, b"reply \xff");
        string(out, &UUID[1..]);
        symbol(out, b"application/\xff");
        symbol(out, b"encoding/\xff");
        write::null(out);
        write::null(out);
        string(out, b"group \xff");
        11
    });
    write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
    write::map(&mut out, |out| {
        write::string(out, "text");
        string(out, UUID);
        string(out, b"name \xff");
        write::string(out, "value");
        write::string(out, "last");
        write::string(out, "a");
        6
    });
    write::descriptor(&mut out, section::DATA);
    write::binary(&mut out, b"the body");
    let original = read(out);
    let headers: AllHeaders = vec![
        ("text".into(), vec![UUID.into()]),
        (b"name \xff"[..].into(), vec!["value".into()]),
        ("last".into(), vec!["a".into()]),
    ];
    let all = copies(&original);
    for job in all.iter().chain([&original]) {
        assert_eq!(job.body(), b"the body");
        assert_eq!(job.id(), UUID);
        assert_eq!(job.name(), b"subject \xff");
        assert_eq!(job.trace_id(), Some(UUID[1..].into()));
        assert_eq!(job.group(), Some(b"group \xff"[..].into()));
        assert_eq!(job.all_headers(), headers);
        let properties = job.message.properties().unwrap();
        assert_eq!(properties.content_type, Some(&b"application/\xff"[..]));
        let fields: Vec<_> = job.message.property_items().unwrap().unwrap().collect();
        assert_eq!(fields[4], Ok(Value::IllFormed(b"reply \xff")));
        assert_eq!(fields[7], Ok(Value::IllFormed(b"encoding/\xff")));
    }
    // RabbitMQ accepts what it has sent, and its 0-9-1 clients find the bytes where they were.
    for copied in &all {
        let properties = copied.message.properties().unwrap();
        assert_eq!(
            properties.message_id.unwrap().value(),
            Value::IllFormed(UUID)
        );
        assert_eq!(
            properties.correlation_id.unwrap().value(),
            Value::IllFormed(&UUID[1..])
        );
        assert_eq!(property(copied, b"text"), Value::IllFormed(UUID));
        let mut annotations = copied.message.annotations().unwrap().unwrap();
        let (key, value) = annotations.entry().unwrap().unwrap();
        assert_eq!(key.as_name(), Some(&b"x-\xff"[..]));
        assert_eq!(value, Value::IllFormed(UUID));
    }
}

#[test]
fn an_envelope_in_binary_is_read() {
    let mut out = Vec::new();
    write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
    write::map(&mut out, |out| {
        write::string(out, "rr_id");
        write::binary(out, UUID);
        write::string(out, "rr_job");
        write::binary(out, b"Job");
        write::string(out, "rr_pipeline");
        string(out, b"\xff");
        6
    });
    let job = read(out);
    assert_eq!((job.id(), job.name()), (UUID.into(), "Job".into()));
    assert_eq!(job.pipeline(), Some(b"\xff"[..].into()));
}

#[test]
fn binary_headers_stay_different_and_binary() {
    let mut out = Vec::new();
    write::descriptor(&mut out, section::PROPERTIES);
    write::list(&mut out, |out| {
        write::binary(out, UUID);
        1
    });
    write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
    write::map(&mut out, |out| {
        write::string(out, "one");
        write::binary(out, b"\x00\xff\xfe\x01");
        write::string(out, "other");
        write::binary(out, b"\x00\xfd\xfc\x01");
        4
    });
    let original = read(out);
    let headers: AllHeaders = vec![
        ("one".into(), vec![b"\x00\xff\xfe\x01"[..].into()]),
        ("other".into(), vec![b"\x00\xfd\xfc\x01"[..].into()]),
    ];
    for job in copies(&original).iter().chain([&original]) {
        assert_eq!(job.id(), UUID);
        assert_eq!(job.all_headers(), headers);
        let one = property(job, b"one");
        assert_eq!(one, Value::Binary(b"\x00\xff\xfe\x01"));
    }
}

#[test]
fn headers_that_are_added_leave_binary_ones_alone() {
    let mut out = Vec::new();
    write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
    write::map(&mut out, |out| {
        write::string(out, "rr_job");
        write::string(out, "Job");
        write::string(out, "rr_headers");
        // JSON except for its bytes, as a careless encoder writes it.
        write::binary(
            out,
            b"{\"a\":[\"\xff\\n\\u00fc\",\"2\"],\"n\xfe\":\"\xfd\",\"b\":[\"text\"]}",
        );
        write::string(out, "own");
        write::binary(out, b"\xfc\"\\\x01");
        6
    });
    let original = read(out);
    let mut headers: AllHeaders = vec![
        ("a".into(), vec![b"\xff\n\xc3\xbc"[..].into(), "2".into()]),
        (b"n\xfe"[..].into(), vec![b"\xfd"[..].into()]),
        ("b".into(), vec!["text".into()]),
        ("own".into(), vec![b"\xfc\"\\\x01"[..].into()]),
    ];
    assert_eq!(original.all_headers(), headers);
    let new = [(Cow::Borrowed("new"), HeaderValue::Int(1))];
    let changes = Changes {
        headers: &new,
        ..Changes::default()
    };
    let released = read(copy(&original, &changes));
    headers.push(("new".into(), vec!["1".into()]));
    assert_eq!(released.all_headers(), headers);
    assert_eq!(property(&released, b"own"), Value::Binary(b"\xfc\"\\\x01"));
}

#[test]
fn binary_values_of_a_map_are_the_bytes_that_came() {
    let mut out = Vec::new();
    write::descriptor(&mut out, section::VALUE);
    write::map(&mut out, |out| {
        write::string(out, "b");
        write::binary(out, b"\xff\"");
        string(out, b"\xfe");
        write::list(out, |out| {
            write::ulong(out, u64::MAX);
            write::double(out, f64::NAN);
            write::double(out, 1.0);
            3
        });
        4
    });
    let job = read(out);
    assert!(job.json);
    let expected = b"{\"b\":\"\xff\\\"\",\"\xfe\":[18446744073709551615,null,1.0]}";
    assert_eq!(BString::from(job.body()), &expected[..]);
    let value = Plain::Map(vec![
        ("b".into(), Plain::Bytes(b"\xff\""[..].into())),
        (
            b"\xfe"[..].into(),
            Plain::List(vec![
                Plain::Unsigned(u64::MAX),
                Plain::Null,
                Plain::Float(1.0),
            ]),
        ),
    ]);
    assert_eq!(body::plain(&job.message).unwrap(), Some(value));
}

#[test]
fn sequences_are_one_list() {
    let sequence = |out: &mut Vec<u8>, numbers: &[u64]| {
        write::descriptor(out, 0x76);
        write::list(out, |out| {
            numbers.iter().for_each(|number| write::ulong(out, *number));
            numbers.len() as u32
        });
    };
    let mut out = Vec::new();
    sequence(&mut out, &[1, 2]);
    assert_eq!(read(out.clone()).body(), b"[1,2]");
    sequence(&mut out, &[3]);
    sequence(&mut out, &[]);
    let job = read(out);
    assert_eq!(job.body(), b"[1,2,3]");
    assert!(job.json);
    let empty = [0x00, 0x53, 0x76, 0x45];
    assert_eq!(read(empty.to_vec()).body(), b"[]");
}

#[test]
fn a_body_that_cannot_be_read_is_set_aside_as_it_was() {
    let mut nested = vec![0x45];
    for _ in 0..200 {
        let mut outer = Vec::new();
        write::list(&mut outer, |out| {
            out.extend_from_slice(&nested);
            1
        });
        nested = outer;
    }
    let mut out = Vec::new();
    write::descriptor(&mut out, section::PROPERTIES);
    write::list(&mut out, |out| {
        string(out, UUID);
        1
    });
    write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
    write::map(&mut out, |out| {
        write::string(out, "tenant");
        write::string(out, "a");
        2
    });
    let body = [&[0x00, 0x53, section::VALUE][..], &nested].concat();
    out.extend_from_slice(&body);
    let original = read(out);
    assert_eq!(original.poison, Some("values nested too deeply"));
    let [_, failed, back] = copies(&original);
    assert_eq!((failed.poison, back.poison), (None, original.poison));
    for job in [&original, &failed, &back] {
        assert_eq!((job.id(), job.body()), (UUID.into(), &body[..]));
        assert_eq!(job.all_headers(), [("tenant".into(), vec!["a".into()])]);
        assert_eq!(job.message.body_sections(), [&body[..]]);
    }
}
