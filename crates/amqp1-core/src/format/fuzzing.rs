//! Entry points for the fuzz target `job_formats`: each format's decoder, and copies of decoded
//! messages. They panic if an invariant is violated.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::borrow::Cow;
use std::time::Duration;

use bstr::BStr;
use bytes::Bytes;

use super::carried::{CONTENT_TYPE, USER_ID};
use super::changes::{Changes, FailureChange};
use super::copy::copy;
use super::envelope::{DelayMark, Envelope, ROUTING_KEY_HEADER};
use super::{body, check, decode, encode, failure, AllHeaders, Decoded, Format};
use crate::base::choices::Choices;
use crate::format::PropertyMapping;
use crate::job::failure::FailureFacts;
use crate::job::properties::JobProperties;
use crate::job::{HeaderValue, Job, JobOptions, Payload};

const MAPPINGS: [PropertyMapping; 3] = [
    PropertyMapping::Jms,
    PropertyMapping::Annotations,
    PropertyMapping::Typed,
];
const MARKS: [DelayMark; 4] = [
    DelayMark::None,
    DelayMark::XDelay,
    DelayMark::EnqueueTime,
    DelayMark::DeliveryDelay,
];
const UUID: &str = "f1e2d3c4-b5a6-4789-90ab-cdef01234567";

fn one_of<T: Copy>(all: &[T], choice: u8) -> T {
    all[usize::from(choice) % all.len()]
}

/// A message from any producer, as a worker decodes it, and its copies.
pub fn message(data: &[u8]) {
    // Choices come from the end, because the sections are at the front.
    let tail: Vec<u8> = data.iter().rev().take(64).copied().collect();
    let mut choices = Choices(&tail);
    let mapping = one_of(&MAPPINGS, choices.byte());
    let Ok(mut decoded) = decode(Bytes::copy_from_slice(data), mapping) else {
        return;
    };
    assert!(!decoded.name().is_empty());
    if decoded.id().is_empty() {
        decoded.id = UUID.into();
    }
    // JSON is at most this much longer than its source.
    assert!(
        decoded.body().len() <= data.len() * 128 + 64,
        "the body has grown from {} to {} bytes",
        data.len(),
        decoded.body().len()
    );
    assert!(decoded
        .headers()
        .iter()
        .all(|(_, values)| values.count() > 0));
    carried(&decoded);
    copies(&decoded, mapping, &mut choices);
}

/// Whatever the message carries beside the job can be read, and each property in either way.
fn carried(decoded: &Decoded) {
    let properties = decoded.properties();
    let has = |name| properties.iter().any(|(known, _)| *known == name);
    assert_eq!(
        has("content_type"),
        decoded.property(CONTENT_TYPE).is_some()
    );
    assert_eq!(has("user_id"), decoded.property(USER_ID).is_some());
    for (name, _) in decoded.annotations() {
        // The first one of a name; one whose key is no text is not found by it.
        let _ = std::str::from_utf8(&name).map(|name| decoded.annotation(name));
    }
    let _ = (
        decoded.expiry(),
        decoded.enqueued_at(),
        decoded.created_at(),
    );
    let _ = (decoded.routing_key(), decoded.group_sequence());
    let _ = (decoded.release_reason(), decoded.has_encoded_body());
}

/// A body that is decoded as JSON, in a message with no other sections.
pub fn envelope(data: &[u8]) {
    use crate::wire::message::section;
    use crate::wire::write;
    let mut out = Vec::new();
    write::descriptor(&mut out, section::DATA);
    write::binary(&mut out, data);
    message(&out);
}

/// The same job, whatever changes about its delivery.
fn copies(decoded: &Decoded, mapping: PropertyMapping, choices: &mut Choices<'_>) {
    let attempts = choices.number();
    let facts = FailureFacts {
        reason: choices.text(),
        error: choices.optional(),
        exception: choices.optional(),
        queue: choices.optional(),
        attempts: attempts.clamp(1, i32::MAX as u32),
        failed_at: Some(i64::from(choices.number())),
    };
    let delay = Duration::from_millis(u64::from(choices.number()));
    let changes = Changes {
        to: Some("/queues/q"),
        attempts,
        delay,
        delay_mark: one_of(&MARKS, choices.byte()),
        ..Changes::default()
    };
    let again = |changes: &Changes<'_>| {
        decode(copy(decoded, changes), mapping).expect("a copy of what was decoded")
    };
    let kept = again(&changes);
    same_job(decoded, &kept);
    assert_eq!(kept.body(), decoded.body());
    assert_eq!(kept.all_headers(), decoded.all_headers());
    assert_eq!(
        kept.earlier_attempts,
        attempts.min(i32::MAX as u32).max(kept.earlier_attempts)
    );
    assert_eq!(
        kept.poison,
        decoded.poison.filter(|_| failure(&kept).is_none())
    );
    if !delay.is_zero() {
        assert_eq!(kept.delay, delay.as_millis() as f64 / 1000.0);
    }
    let failed = again(&Changes {
        failure: FailureChange::Set(&facts),
        ..changes.clone()
    });
    same_job(decoded, &failed);
    assert_eq!(failure(&failed), Some(facts));
    assert_eq!(failed.poison, None);
    let replayed = again(&Changes {
        failure: FailureChange::Forget,
        ..Changes::default()
    });
    same_job(decoded, &replayed);
    assert_eq!((failure(&replayed), replayed.earlier_attempts), (None, 0));
    // Complete envelopes that are not accepted contain the failure.
    if decoded.format != Format::Babelqueue || kept.json && kept.poison.is_none() {
        let whole = |of: &Decoded| body::bytes(&of.message).unwrap() == of.body();
        if !(decoded.format == Format::Babelqueue && whole(decoded)) {
            assert_eq!(
                (failed.body(), replayed.body()),
                (decoded.body(), decoded.body())
            );
        }
    }
    let headers = [(Cow::Borrowed("added"), HeaderValue::Text("yes".into()))];
    let added = again(&Changes {
        headers: &headers,
        ..changes
    });
    same_job(decoded, &added);
    let mut expected: AllHeaders = decoded.all_headers();
    expected.retain(|(name, _)| name != "added");
    expected.push(("added".into(), vec!["yes".into()]));
    let mut got = added.all_headers();
    expected.sort();
    got.sort();
    assert_eq!(got, expected);
}

fn same_job(one: &Decoded, other: &Decoded) {
    assert_eq!(one.format, other.format);
    assert_eq!(one.id(), other.id());
    assert_eq!(one.name(), other.name());
    assert_eq!(one.json, other.json);
    assert_eq!(one.pipeline(), other.pipeline());
    assert_eq!(one.trace_id(), other.trace_id());
    assert_eq!(one.group(), other.group());
    assert_eq!(one.priority, other.priority);
    assert_eq!(one.durable, other.durable);
    assert_eq!(one.auto_ack, other.auto_ack);
}

/// In every format, a job that is encoded and decoded is the same job.
pub fn round_trip(data: &[u8]) {
    let mut choices = Choices(data);
    let mut headers: Vec<(Cow<'_, str>, HeaderValue<'_>)> = Vec::new();
    for _ in 0..choices.byte() % 4 {
        let name = Cow::Owned(choices.text());
        let value = header(&mut choices, true);
        if headers.iter().all(|(known, _)| *known != name) {
            headers.push((name, value));
        }
    }
    let (mut id, mut name, pipeline) = (choices.text(), choices.text(), choices.text());
    let (mut trace, group, to) = (choices.optional(), choices.optional(), choices.optional());
    let flags = choices.byte();
    let priority = (flags & 2 != 0).then(|| choices.byte());
    let ttl = (flags & 4 != 0).then(|| Duration::from_millis(u64::from(choices.number())));
    let expires_at = (flags & 8 != 0).then(|| i64::from(choices.number()));
    let delay = Duration::from_millis(u64::from(choices.number()));
    let kind = choices.byte();
    let format = one_of(&Format::ALL, kind);
    let mapping = one_of(&MAPPINGS, kind / 4);
    let mut payload = choices.0.to_vec();
    if format == Format::Babelqueue {
        // The format refuses what it cannot carry.
        if name.trim().is_empty() {
            name.push_str("job");
        }
        UUID.clone_into(&mut id);
        trace = trace.map(|_| UUID.to_owned());
        payload = serde_json::json!({ "text": String::from_utf8_lossy(&payload) })
            .to_string()
            .into();
    }
    let envelope = Envelope {
        id: &id,
        pipeline: &pipeline,
        durable: flags & 1 != 0,
        priority,
        ttl,
        expires_at,
        delay,
        delay_mark: one_of(&MARKS, flags >> 6),
        to: to.as_deref(),
        routing_key: None,
        partition_key: None,
        properties: JobProperties::NONE,
        without_body: false,
    };
    let job = Job {
        name: Cow::Borrowed(&name),
        payload: Payload {
            bytes: Cow::Borrowed(&payload),
            json: flags & 16 != 0,
            keep: None,
        },
        options: JobOptions {
            headers,
            trace_id: trace.as_deref().map(Cow::Borrowed),
            group: group.as_deref().map(Cow::Borrowed),
            auto_ack: Some(flags & 32 != 0),
            ..JobOptions::default()
        },
    };
    check(format, &job, JobProperties::NONE, &id).expect("what a format can carry");
    let encoded = encode(format, &job, &envelope, || Ok(mapping)).expect("the same");
    let read = decode(encoded.into(), mapping).expect("what we write");
    same(&job, &envelope, format, &read);
    copies(&read, mapping, &mut Choices(data));
}

fn same(job: &Job<'_>, envelope: &Envelope<'_>, format: Format, read: &Decoded) {
    let options = &job.options;
    if read.format != format {
        // The payload is itself an envelope.
        assert_eq!(format, Format::Raw);
        return;
    }
    if format == Format::Babelqueue && job.name.trim().is_empty() {
        assert_eq!(read.poison, Some("missing_urn"));
        return;
    }
    assert_eq!(read.poison, None);
    if !envelope.id.is_empty() {
        assert_eq!(read.id(), envelope.id);
    }
    if !job.name.is_empty() {
        assert_eq!(read.name(), job.name.as_bytes());
    }
    assert_eq!(read.body(), job.payload.bytes.as_ref());
    assert_eq!(read.json, job.payload.json || format == Format::Babelqueue);
    if format != Format::Babelqueue || options.trace_id.is_some() {
        assert_eq!(read.trace_id(), options.trace_id.as_deref().map(BStr::new));
    }
    assert_eq!(read.durable, envelope.durable);
    assert_eq!(read.expires_at, envelope.expires_at);
    assert_eq!(read.delay, envelope.delay.as_millis() as f64 / 1000.0);
    assert_eq!(Some(read.auto_ack), options.auto_ack);
    assert_eq!(read.earlier_attempts, 0);
    let priority = envelope.priority.map(i64::from);
    let without_place = matches!(format, Format::Raw | Format::Babelqueue);
    assert_eq!(read.priority, priority.or((!without_place).then_some(4)));
    let group = options.group.as_deref();
    if format != Format::Babelqueue || group != Some("babelqueue") {
        assert_eq!(read.group(), group.map(BStr::new));
    }
    match format {
        Format::Raw => assert_eq!(read.pipeline(), None),
        Format::Amqp1 if envelope.pipeline.is_empty() => assert_eq!(read.pipeline(), None),
        _ => assert_eq!(read.pipeline(), Some(envelope.pipeline.into())),
    }
    let sent = options.headers.iter();
    let mut sent: Vec<&str> = sent
        .filter(|(_, value)| !matches!(value, HeaderValue::List(values) if values.is_empty()))
        .map(|(name, _)| name.as_ref())
        .filter(|name| *name != ROUTING_KEY_HEADER)
        .collect();
    let names = read.headers().iter();
    let mut got: Vec<String> = names.map(|(name, _)| name.to_string()).collect();
    if format != Format::Roadrunner {
        sent.sort_unstable();
        got.sort_unstable();
    }
    assert_eq!(got, sent);
}

fn header(choices: &mut Choices<'_>, may_be_list: bool) -> HeaderValue<'static> {
    match choices.byte() % if may_be_list { 5 } else { 4 } {
        0 => HeaderValue::Text(Cow::Owned(choices.text())),
        1 => HeaderValue::Int(i64::from(choices.number())),
        2 => HeaderValue::Float(f64::from(choices.number()) / 3.0),
        3 => HeaderValue::Bool(choices.byte().is_multiple_of(2)),
        _ => HeaderValue::List(
            (0..choices.byte() % 4)
                .map(|_| header(choices, false))
                .collect(),
        ),
    }
}
