//! The `babelqueue` format: a JSON envelope that SDKs in other languages read and write. Message
//! properties repeat the parts for routing and tracing. Their names depend on the broker
//! ([`PropertyMapping`]).

use bstr::BStr;
use bytes::Bytes;
use std::borrow::Cow;
use uuid::Uuid;

use super::annotations::own_annotations;
use super::body::text;
use super::changes::{Changes, FailureChange};
use super::decoded::Seen;
use super::envelope::{
    delay_annotation, delay_property, header, partition_annotation, properties, Envelope,
    Properties, JSON,
};
use super::failure::{self, DEAD_LETTER};
use super::names::{ATTEMPTS_TEXT, BABELQUEUE};
use super::object::{quoted, Object};
use super::{headers, Decoded, Format};
use crate::base::clock::now_millis;
use crate::base::id;
use crate::error::{Error, Result};
use crate::format::PropertyMapping;
use crate::job::{Job, Payload};
use crate::wire::message::{section, Message};
use crate::wire::write;

/// app_id, which is group-id in AMQP 1.0.
const APP_ID: &str = "babelqueue";
const LANG: &str = "php";

const SCHEMA_VERSION: &str = "x-schema-version";
const SOURCE_LANG: &str = "x-source-lang";
/// RabbitMQ's annotation that counts attempts.
pub(super) const ATTEMPTS: &str = "x-attempts";
/// Refuses a job that the envelope cannot carry.
///
/// # Errors
/// Serialization if the payload is not an object; Config for a blank name, or if an id or trace id
/// is not a UUID.
pub(super) fn check_job(job: &Job<'_>, id: &str) -> Result<()> {
    // Consumers would not accept it.
    if job.name.trim().is_empty() {
        return Err(Error::config(
            "the job's name is blank, but 'job' of the babelqueue format must be a URN such as urn:babel:orders:created",
        ));
    }
    if Given::of(job, id).is_some() {
        return Ok(());
    }
    data(job)?;
    check_uuid("id", id, job)?;
    match job.options.trace_id.as_deref() {
        Some(trace_id) => check_uuid("trace_id", trace_id, job),
        None => Ok(()),
    }
}

/// Encodes the whole message.
///
/// # Errors
/// Serialization if the payload is not an object; Unsupported if no trace id can be generated.
pub(crate) fn encode(
    job: &Job<'_>,
    envelope: &Envelope<'_>,
    mapping: PropertyMapping,
) -> Result<Vec<u8>> {
    let options = &job.options;
    let trace_id = match options.trace_id.as_deref() {
        Some(trace_id) => Cow::Borrowed(trace_id),
        None => Cow::Owned(id::job_id()?),
    };
    let now = now_millis();
    let (body, says) = match Given::of(job, envelope.id) {
        Some(given) => (Cow::Borrowed(given.json), given.says),
        None => (
            Cow::Owned(body(job, envelope, data(job)?, &trace_id, now)),
            Says::new(now),
        ),
    };
    let mut out = Vec::with_capacity(body.len() + 384 + options.headers.len() * 64);
    header(&mut out, envelope.durable, envelope.priority, envelope.ttl);
    annotations(&mut out, job, envelope, mapping, now, &says);
    let app_id = (mapping == PropertyMapping::Annotations).then_some(APP_ID);
    let of = Properties {
        subject: &job.name,
        correlation_id: Some(&trace_id),
        content_type: JSON,
        content_encoding: Some("utf-8"),
        group: options.group.as_deref().or(app_id),
    };
    properties(&mut out, envelope, &of, now);
    application_properties(&mut out, job, envelope, mapping, &says);
    write::descriptor(&mut out, section::DATA);
    write::binary(&mut out, body.as_bytes());
    Ok(out)
}

/// What the message's properties repeat of its envelope.
struct Says<'a> {
    lang: Cow<'a, str>,
    attempts: i32,
    /// Unix milliseconds.
    created_at: i64,
}

impl Says<'_> {
    /// Of a new envelope.
    fn new(created_at: i64) -> Self {
        Self {
            lang: Cow::Borrowed(LANG),
            attempts: 0,
            created_at,
        }
    }
}

/// A payload that is this job's envelope already: it has the job's name, id and trace id. It is sent
/// as it is, with its attempts, its time and the keys that only its writer knows, so that an
/// adapter to an SDK can pass envelopes on.
struct Given<'a> {
    json: &'a str,
    says: Says<'static>,
}

impl<'a> Given<'a> {
    fn of(job: &'a Job<'_>, id: &str) -> Option<Self> {
        let Payload {
            bytes, json: false, ..
        } = &job.payload
        else {
            return None;
        };
        let trace_id = job.options.trace_id.as_deref()?;
        let json = std::str::from_utf8(bytes).ok()?;
        let envelope = Object::parse(bytes).filter(|it| check(Some(it), None).is_none())?;
        let meta = envelope.object("meta")?;
        let is_this = urn(&envelope)? == job.name
            && envelope.text("trace_id")? == trace_id
            && meta.text("id")? == id;
        let says = Says {
            lang: Cow::Owned(meta.text("lang").unwrap_or_default().into_owned()),
            attempts: i32::try_from(envelope.integer("attempts")?).unwrap_or(i32::MAX),
            created_at: meta.integer("created_at").unwrap_or_else(now_millis),
        };
        is_this.then_some(Self { json, says })
    }
}

fn body(
    job: &Job<'_>,
    envelope: &Envelope<'_>,
    data: &str,
    trace_id: &str,
    created_at: i64,
) -> String {
    format!(
        r#"{{"job":{},"trace_id":{},"data":{data},"meta":{{"id":{},"queue":{},"lang":"{LANG}","schema_version":1,"created_at":{created_at}}},"attempts":0}}"#,
        quoted(&job.name),
        quoted(trace_id),
        quoted(envelope.id),
        quoted(envelope.pipeline),
    )
}

/// The payload as the object that `data` must be. PHP's empty array counts as one, and so does a
/// missing payload.
fn data<'a>(job: &'a Job<'_>) -> Result<&'a str> {
    let Payload { bytes, json, .. } = &job.payload;
    let text = std::str::from_utf8(bytes).unwrap_or_default().trim_ascii();
    // PHP has just encoded it, so the first character is enough.
    let got = match text.as_bytes().first() {
        Some(b'{') if *json || Object::parse(text.as_bytes()).is_some() => return Ok(text),
        _ if *json && (text == "[]" || text == "null") => return Ok("{}"),
        _ if !*json => "a string",
        Some(b'[') => "a list",
        _ => "a scalar",
    };
    Err(Error::serialization(format!(
        "job '{}': the payload is {got}, but 'data' of the babelqueue format must be an object: push an array with string keys, an object or a string that is a JSON object, \
         or choose another 'format' for the queue",
        job.name
    )))
}

fn check_uuid(option: &str, value: &str, job: &Job<'_>) -> Result<()> {
    if value.len() == 36 && Uuid::try_parse(value).is_ok() {
        return Ok(());
    }
    Err(Error::config(format!(
        "job '{}': option '{option}': the babelqueue format needs a UUID \
         (f1e2d3c4-b5a6-4789-90ab-cdef01234567), got '{value}'; remove the option to have one generated",
        job.name
    )))
}

fn annotations(
    out: &mut Vec<u8>,
    job: &Job<'_>,
    envelope: &Envelope<'_>,
    mapping: PropertyMapping,
    now: i64,
    says: &Says<'_>,
) {
    let (mut entries, mut count) = (Vec::with_capacity(128), 0);
    match mapping {
        PropertyMapping::Annotations => {
            write::symbol(&mut entries, "x-basic-type");
            write::string(&mut entries, &job.name);
            write::symbol(&mut entries, SCHEMA_VERSION);
            write::int(&mut entries, 1);
            write::symbol(&mut entries, SOURCE_LANG);
            write::string(&mut entries, &says.lang);
            write::symbol(&mut entries, ATTEMPTS);
            write::int(&mut entries, says.attempts);
            count += 8;
        }
        PropertyMapping::Jms => {
            write::symbol(&mut entries, "x-opt-jms-type");
            write::string(&mut entries, &job.name);
            count += 2;
        }
        PropertyMapping::Typed => {}
    }
    count += delay_annotation(&mut entries, envelope.delay_mark, now, envelope.delay);
    count += partition_annotation(&mut entries, envelope.partition_key);
    count += own_annotations(&mut entries, envelope.properties);
    if count > 0 {
        write::descriptor(out, section::MESSAGE_ANNOTATIONS);
        write::map(out, |out| {
            out.extend_from_slice(&entries);
            count
        });
    }
}

fn application_properties(
    out: &mut Vec<u8>,
    job: &Job<'_>,
    envelope: &Envelope<'_>,
    mapping: PropertyMapping,
    says: &Says<'_>,
) {
    write::descriptor(out, section::APPLICATION_PROPERTIES);
    write::map(out, |out| {
        let mut count = match mapping {
            PropertyMapping::Annotations => 0,
            PropertyMapping::Typed => {
                write::string(out, "bq-schema-version");
                write::int(out, 1);
                write::string(out, "bq-source-lang");
                write::string(out, &says.lang);
                write::string(out, "bq-created-at");
                write::long(out, says.created_at);
                6
            }
            PropertyMapping::Jms => {
                let attempts = says.attempts.to_string();
                for (name, value) in [
                    ("bq_schema_version", "1"),
                    ("bq_source_lang", says.lang.as_ref()),
                    (ATTEMPTS_TEXT, attempts.as_str()),
                    ("bq_app_id", APP_ID),
                ] {
                    write::string(out, name);
                    write::string(out, value);
                }
                8
            }
        };
        count += delay_property(out, envelope.delay);
        count + headers::of_job(out, job)
    });
}

/// Whether the message has the properties that a BabelQueue SDK writes on RabbitMQ.
pub(super) fn is_marked(message: &Message) -> bool {
    let Ok(Some(mut items)) = message.annotations() else {
        return false;
    };
    let (mut has_version, mut is_theirs) = (false, false);
    while let Ok(Some((key, _))) = items.named() {
        has_version |= key == Some(SCHEMA_VERSION.as_bytes());
        is_theirs |= key == Some(SOURCE_LANG.as_bytes());
    }
    // Other software may use either name alone.
    has_version
        && (is_theirs
            || message
                .properties()
                .is_ok_and(|of| of.group_id == Some(APP_ID.as_bytes())))
}

/// Whether the body looks like an envelope, with at most one part missing.
pub(super) fn is_envelope(object: &Object<'_>) -> bool {
    let parts = [
        object.has("job") || object.has("urn"),
        object.has("trace_id"),
        object.has("data"),
        object.has("meta"),
        object.has("attempts"),
    ];
    parts.iter().filter(|is_there| **is_there).count() >= 4
}

/// `job`, or its alias `urn`.
fn urn<'a>(envelope: &'a Object<'_>) -> Option<Cow<'a, str>> {
    let names = ["job", "urn"].into_iter();
    let mut urns = names.filter_map(|name| envelope.text(name));
    urns.find(|urn| !urn.trim().is_empty())
}

/// The first reason to refuse an envelope, in the order that the format defines.
fn check(envelope: Option<&Object<'_>>, version_property: Option<&BStr>) -> Option<&'static str> {
    let Some((envelope, _)) = envelope.and_then(|it| Some((it, urn(it)?))) else {
        return Some("missing_urn");
    };
    let Some(meta) = envelope.object("meta") else {
        return Some("missing_meta");
    };
    let says_otherwise =
        version_property.is_some_and(|of| !of.trim_ascii().is_empty() && *of != "1");
    if meta.get("schema_version") != Some("1") || says_otherwise {
        return Some("unsupported_schema_version");
    }
    if !envelope.get("data").is_some_and(is_data) {
        return Some("invalid_data");
    }
    if envelope.text("trace_id").is_none_or(|id| id.is_empty()) {
        return Some("missing_trace_id");
    }
    if envelope.integer("attempts").is_none_or(|count| count < 0) {
        return Some("invalid_attempts");
    }
    None
}

/// Whether it is an object, or PHP's empty array, which its SDK writes for an object without keys.
fn is_data(json: &str) -> bool {
    let list = json.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    json.starts_with('{') || list.is_some_and(|items| items.trim_ascii().is_empty())
}

/// Whether this is a complete envelope, so that its `attempts` count.
pub(super) fn counts(envelope: &Object<'_>, message: &Message) -> bool {
    let mut version = None;
    if let Ok(Some(mut items)) = message.application_properties() {
        while let Ok(Some((key, value))) = items.entry() {
            if key.as_name().is_some_and(is_version) {
                version = Some(text(value));
            }
        }
    }
    check(Some(envelope), version.as_ref().map(AsRef::as_ref)).is_none()
}

/// Whether this application property is the schema version.
pub(super) fn is_version(name: &[u8]) -> bool {
    BABELQUEUE[0].as_bytes() == name || BABELQUEUE[3].as_bytes() == name
}

/// Reads the envelope into a job; one that is not accepted stays unchanged.
pub(super) fn read(
    decoded: &mut Decoded,
    envelope: Option<&Object<'_>>,
    whole: &Bytes,
    seen: &Seen,
) {
    decoded.format = Format::Babelqueue;
    if decoded.group().is_some_and(|group| group == APP_ID) {
        decoded.group = None;
    }
    let reason = check(envelope, seen.schema_version.as_ref().map(AsRef::as_ref));
    if let Some(envelope) = envelope {
        if let Some(urn) = urn(envelope) {
            decoded.name = urn.into_owned().into();
        }
        if let Some(trace_id) = envelope.text("trace_id").filter(|id| !id.is_empty()) {
            decoded.trace_id = Some(trace_id.into_owned().into());
        }
        if let Some(meta) = envelope.object("meta") {
            if let Some(id) = meta.text("id").filter(|id| !id.is_empty()) {
                decoded.id = id.into_owned().into();
            }
            decoded.pipeline = meta.text("queue").map(|queue| queue.into_owned().into());
        }
    }
    match (reason, envelope) {
        (None, Some(envelope)) => {
            if let Some(data) = envelope.get("data") {
                decoded.body = whole.slice_ref(data.as_bytes()).into();
                decoded.json = true;
            }
            let counted = envelope.integer("attempts").unwrap_or(0);
            let counted = u32::try_from(counted).unwrap_or(u32::MAX);
            // RabbitMQ's count starts at 0 again with each copy. The other brokers' counters are
            // assumed to have counted the same deliveries.
            decoded.earlier_attempts = match seen.mapping {
                PropertyMapping::Annotations => counted.saturating_add(seen.delivery_count),
                _ => counted.max(seen.delivery_count),
            };
        }
        (reason, _) => {
            // A job in a failed queue is shown as it is.
            decoded.poison = reason.filter(|_| failure::failure(decoded).is_none());
        }
    }
}

/// The envelope with the changes; `None` if none concern it.
pub(super) fn rewritten(
    mut envelope: Object<'_>,
    counts: bool,
    changes: &Changes<'_>,
) -> Option<String> {
    let mut changed = false;
    if counts && envelope.integer("attempts") != Some(i64::from(changes.attempts)) {
        envelope.set("attempts", changes.attempts.to_string());
        changed = true;
    }
    match changes.failure {
        FailureChange::Set(facts) => {
            envelope.set(DEAD_LETTER, failure::json(facts));
            changed = true;
        }
        FailureChange::Forget if envelope.has(DEAD_LETTER) => {
            envelope.remove(DEAD_LETTER);
            changed = true;
        }
        FailureChange::Forget | FailureChange::Keep => {}
    }
    changed.then(|| envelope.to_json())
}

#[cfg(test)]
#[path = "babelqueue_tests.rs"]
mod tests;
