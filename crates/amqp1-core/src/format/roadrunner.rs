//! The `roadrunner` format: what RoadRunner's own 0-9-1 driver reads and writes.
//!
//! The payload is the body. `rr_*` application properties carry the envelope
//! (RabbitMQ maps them to 0-9-1 headers with their types), and the caller's
//! headers are application properties of their own, so that a consumer in any
//! language sees them without decoding anything.

use std::cell::OnceCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::Value as Json;

use super::body::{self, float, text};
use super::{Decoded, Headers, DEDUCED};
use crate::id;
use crate::job::{HeaderValue, Job};
use crate::wire::message::{section, Message};
use crate::wire::read::Value;
use crate::wire::write;
use crate::wire::DecodeError;

/// A header of this name is the routing key of its job, and is not sent.
pub(crate) const ROUTING_KEY_HEADER: &str = "x-routing-key";

const JSON: &str = "application/json";
const OCTETS: &str = "application/octet-stream";

/// How the broker is told about a delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DelayMark {
    /// Not at all: the address sees to it.
    None,
    /// `x-delay`, milliseconds: RabbitMQ's delayed-message exchange.
    XDelay,
    /// `x-opt-scheduled-enqueue-time`, an absolute timestamp: Service Bus, embedded.
    EnqueueTime,
}

/// What the queue's configuration and the route add to a job.
#[derive(Debug, Clone)]
pub(crate) struct Envelope<'a> {
    pub id: &'a str,
    pub pipeline: &'a str,
    pub durable: bool,
    pub priority: Option<u8>,
    pub ttl: Option<Duration>,
    /// Unix milliseconds; for a broker on whose way to the queue a TTL would be lost.
    pub expires_at: Option<i64>,
    pub delay: Duration,
    pub delay_mark: DelayMark,
    pub to: Option<&'a str>,
    /// Deliveries before this copy was made.
    pub attempts: u32,
    /// What a failed job carries, as application properties.
    pub failure: &'a [(&'a str, HeaderValue<'a>)],
}

/// Unix time in milliseconds.
pub(crate) fn now_millis() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

/// The whole message.
pub(crate) fn encode(job: &Job<'_>, envelope: &Envelope<'_>) -> Bytes {
    let options = &job.options;
    let body = &job.payload.bytes;
    let mut out = Vec::with_capacity(body.len() + 384 + options.headers.len() * 64);
    header(&mut out, envelope);
    let now = now_millis();
    let delay_ms = envelope.delay.as_millis() as i64;
    if !envelope.delay.is_zero() {
        annotations(&mut out, envelope.delay_mark, now, delay_ms);
    }
    write::descriptor(&mut out, section::PROPERTIES);
    write::list(&mut out, |out| {
        write::string(out, envelope.id);
        write::null(out); // user-id
        optional(out, envelope.to);
        write::string(out, &job.name);
        write::null(out); // reply-to
        optional(out, options.trace_id.as_deref());
        write::symbol(out, if job.payload.json { JSON } else { OCTETS });
        write::null(out); // content-encoding
        match envelope.expires_at {
            Some(at) => write::timestamp(out, at),
            None => write::null(out),
        }
        write::timestamp(out, now);
        match options.group.as_deref() {
            Some(group) => {
                write::string(out, group);
                11
            }
            None => 10,
        }
    });
    write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
    write::map(&mut out, |out| {
        application_properties(out, job, envelope, delay_ms)
    });
    write::descriptor(&mut out, section::DATA);
    write::binary(&mut out, body);
    out.into()
}

fn optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => write::string(out, text),
        None => write::null(out),
    }
}

fn header(out: &mut Vec<u8>, envelope: &Envelope<'_>) {
    write::descriptor(out, section::HEADER);
    write::list(out, |out| {
        write::bool(out, envelope.durable);
        match envelope.priority {
            Some(priority) => write::ubyte(out, priority),
            None => write::null(out),
        }
        match envelope.ttl {
            Some(ttl) => write::uint(out, ttl.as_millis().min(u128::from(u32::MAX)) as u32),
            None => write::null(out),
        }
        3
    });
}

fn annotations(out: &mut Vec<u8>, mark: DelayMark, now: i64, delay_ms: i64) {
    if mark == DelayMark::None {
        return;
    }
    write::descriptor(out, section::MESSAGE_ANNOTATIONS);
    write::map(out, |out| {
        if mark == DelayMark::XDelay {
            write::symbol(out, "x-delay");
            write::long(out, delay_ms);
        } else {
            write::symbol(out, "x-opt-scheduled-enqueue-time");
            write::timestamp(out, now.saturating_add(delay_ms));
        }
        2
    });
}

fn application_properties(
    out: &mut Vec<u8>,
    job: &Job<'_>,
    envelope: &Envelope<'_>,
    delay_ms: i64,
) -> u32 {
    let options = &job.options;
    write::string(out, "rr_id");
    write::string(out, envelope.id);
    write::string(out, "rr_job");
    write::string(out, &job.name);
    write::string(out, "rr_pipeline");
    write::string(out, envelope.pipeline);
    write::string(out, "rr_headers");
    write::binary(out, &headers_json(&options.headers));
    write::string(out, "rr_delay");
    write::int(out, envelope.delay.as_secs().min(i32::MAX as u64) as i32);
    write::string(out, "rr_priority");
    write::long(out, i64::from(envelope.priority.unwrap_or(4)));
    write::string(out, "rr_auto_ack");
    write::bool(out, options.auto_ack.unwrap_or(false));
    let mut count = 14;
    if !envelope.delay.is_zero() {
        write::string(out, "x-delay");
        write::long(out, delay_ms);
        count += 2;
    }
    if envelope.attempts > 0 {
        write::string(out, "rr_attempts");
        write::int(out, envelope.attempts.min(i32::MAX as u32) as i32);
        count += 2;
    }
    for (name, value) in envelope.failure {
        write::string(out, name);
        scalar(out, value);
        count += 2;
    }
    for (name, value) in &options.headers {
        if is_ours(name) {
            continue;
        }
        let first = match value {
            HeaderValue::List(values) => values.first(),
            scalar => Some(scalar),
        };
        if let Some(first) = first {
            write::string(out, name);
            scalar(out, first);
            count += 2;
        }
    }
    count
}

/// Names of the envelope: a caller's header never overwrites one.
fn is_ours(name: &str) -> bool {
    name.starts_with("rr_") || name == "x-delay" || name == ROUTING_KEY_HEADER
}

fn scalar(out: &mut Vec<u8>, value: &HeaderValue<'_>) {
    match value {
        HeaderValue::Text(text) => write::string(out, text),
        HeaderValue::Int(value) => write::long(out, *value),
        HeaderValue::Float(value) => write::double(out, *value),
        HeaderValue::Bool(value) => write::bool(out, *value),
        HeaderValue::List(_) => write::null(out),
    }
}

/// name → list of strings, as one JSON object.
fn headers_json(headers: &[(std::borrow::Cow<'_, str>, HeaderValue<'_>)]) -> Vec<u8> {
    let mut json = Vec::with_capacity(2 + headers.len() * 40);
    json.push(b'{');
    for (name, value) in headers {
        if name == ROUTING_KEY_HEADER {
            continue;
        }
        if json.len() > 1 {
            json.push(b',');
        }
        quote(&mut json, name);
        json.extend_from_slice(b":[");
        match value {
            HeaderValue::List(values) => {
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        json.push(b',');
                    }
                    quote_value(&mut json, value);
                }
            }
            scalar => quote_value(&mut json, scalar),
        }
        json.push(b']');
    }
    json.push(b'}');
    json
}

fn quote_value(json: &mut Vec<u8>, value: &HeaderValue<'_>) {
    match value {
        HeaderValue::Text(text) => quote(json, text),
        HeaderValue::Int(value) => quote(json, &value.to_string()),
        HeaderValue::Float(value) => quote(json, &float(*value)),
        HeaderValue::Bool(value) => quote(json, if *value { "true" } else { "false" }),
        HeaderValue::List(_) => quote(json, ""),
    }
}

fn quote(json: &mut Vec<u8>, text: &str) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(json, text);
}

/// The job in a message, whoever wrote it. `None` properties mean a foreign
/// message: its id is the message-id or a new one, its name the subject.
pub(crate) fn decode(payload: Bytes) -> Result<Decoded, DecodeError> {
    let message = Message::parse(payload)?;
    let header = message.header()?;
    let properties = message.properties()?;
    let (body, converted) = body::bytes(&message)?;
    let mut found = Found::default();
    if let Some(mut items) = message.application_properties()? {
        while let Some((key, value)) = items.entry()? {
            if let Some(key) = key.as_text() {
                found.note(key, value);
            }
        }
    }
    let json = converted
        || properties
            .content_type
            .is_some_and(|content_type| content_type.starts_with(JSON));
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Ok(Decoded {
        id: found
            .id
            .map(str::to_owned)
            .or_else(|| properties.message_id.map(text).filter(|id| !id.is_empty()))
            .unwrap_or_else(id::job_id),
        name: found
            .name
            .or(properties.subject.filter(|subject| !subject.is_empty()))
            .unwrap_or(DEDUCED)
            .to_owned(),
        pipeline: owned(found.pipeline),
        trace_id: properties.correlation_id.map(text),
        group: owned(properties.group_id),
        priority: found.priority,
        delay: found
            .delay_ms
            .map(|milliseconds| milliseconds as f64 / 1000.0)
            .or(found.delay.map(|seconds| seconds as f64))
            .unwrap_or(0.0),
        auto_ack: found.auto_ack,
        durable: header.durable,
        earlier_attempts: header.delivery_count.saturating_add(found.attempts),
        expires_at: properties.absolute_expiry_time,
        headers: OnceCell::new(),
        body,
        json,
        message,
    })
}

/// What cannot be decoded, as a job whose body are the message's bytes.
pub(crate) fn undecoded(bytes: Bytes) -> Decoded {
    Decoded {
        message: Message::empty(),
        id: id::job_id(),
        name: DEDUCED.to_owned(),
        pipeline: None,
        body: bytes,
        json: false,
        trace_id: None,
        group: None,
        priority: None,
        delay: 0.0,
        auto_ack: false,
        durable: true,
        earlier_attempts: 0,
        expires_at: None,
        headers: OnceCell::new(),
    }
}

/// The envelope's application properties.
#[derive(Default)]
struct Found<'a> {
    id: Option<&'a str>,
    name: Option<&'a str>,
    pipeline: Option<&'a str>,
    delay: Option<i64>,
    delay_ms: Option<i64>,
    priority: Option<i64>,
    auto_ack: bool,
    attempts: u32,
}

impl<'a> Found<'a> {
    fn note(&mut self, key: &str, value: Value<'a>) {
        match key {
            "rr_id" => self.id = value.as_text().filter(|id| !id.is_empty()),
            "rr_job" => self.name = value.as_text().filter(|name| !name.is_empty()),
            "rr_pipeline" => self.pipeline = value.as_text(),
            "rr_delay" => self.delay = value.as_int(),
            "x-delay" => self.delay_ms = value.as_int(),
            "rr_priority" => self.priority = value.as_int(),
            "rr_auto_ack" => self.auto_ack = value == Value::Bool(true),
            "rr_attempts" => {
                self.attempts = value.as_uint().unwrap_or(0).min(u64::from(u32::MAX)) as u32;
            }
            _ => {}
        }
    }
}

/// All headers: those of `rr_headers`, then what others added as application properties.
pub(crate) fn headers(message: &Message) -> Headers {
    let mut headers = Headers::new();
    let Ok(Some(items)) = message.application_properties() else {
        return headers;
    };
    let mut entries = items;
    while let Ok(Some((key, value))) = entries.entry() {
        if key.as_text() == Some("rr_headers") {
            let json = match value {
                Value::Binary(bytes) => bytes,
                Value::Text(text) => text.as_bytes(),
                _ => b"",
            };
            from_json(json, &mut headers);
        }
    }
    let mut entries = items;
    while let Ok(Some((key, value))) = entries.entry() {
        let Some(name) = key.as_text() else { continue };
        if !is_ours(name) && !headers.iter().any(|(known, _)| known == name) {
            headers.push((name.to_owned(), vec![text(value)]));
        }
    }
    headers
}

/// Reads `rr_headers`; what is not a list of strings is read as well as it can be.
fn from_json(json: &[u8], headers: &mut Headers) {
    struct InOrder<'a>(&'a mut Headers);
    impl<'de> serde::de::Visitor<'de> for InOrder<'_> {
        type Value = ();
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of lists of strings")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some((name, value)) = map.next_entry::<String, Json>()? {
                let values: Vec<String> = match value {
                    Json::Array(values) => values.into_iter().map(plain).collect(),
                    Json::Null => Vec::new(),
                    value => vec![plain(value)],
                };
                if !values.is_empty() {
                    self.0.push((name, values));
                }
            }
            Ok(())
        }
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    // A foreign producer's broken rr_headers must not make the job undeliverable.
    let _ = serde::Deserializer::deserialize_map(&mut deserializer, InOrder(headers));
}

fn plain(value: Json) -> String {
    match value {
        Json::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
#[path = "roadrunner_tests.rs"]
mod tests;
