//! The data that every format needs about a job, and the sections that all formats write alike.

use std::time::Duration;

use super::annotations::own_annotations;
use crate::base::clock::now_millis;
use crate::base::memory;
use crate::job::properties::{JobProperties, MessageId};
use crate::job::Job;
use crate::wire::message::section;
use crate::wire::write;

/// A header with this name is the job's routing key, and is not sent.
pub(crate) const ROUTING_KEY_HEADER: &str = "x-routing-key";

/// Annotation: messages with the same partition key stay together (string).
pub(crate) const PARTITION_KEY: &str = "x-opt-partition-key";

/// content-type of JSON.
pub(super) const JSON: &str = "application/json";
/// content-type of a payload that was a string.
pub(super) const OCTETS: &str = "application/octet-stream";

/// Whether a body of this content-type is JSON: `application/json`, or a type with the suffix
/// `+json` (RFC 6839).
#[inline]
pub(super) fn is_json(content_type: &[u8]) -> bool {
    content_type.starts_with(JSON.as_bytes())
        || (content_type != OCTETS.as_bytes() && has_json_suffix(content_type))
}

fn has_json_suffix(content_type: &[u8]) -> bool {
    let mut parts = content_type.split(|byte| *byte == b';');
    let media_type = parts.next().unwrap_or_default().trim_ascii_end();
    media_type.ends_with(b"+json")
}

/// How the message requests a delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DelayMark {
    /// Not at all: the address causes the delay.
    None,
    /// `x-delay`, milliseconds: RabbitMQ's delayed-message exchange.
    XDelay,
    /// `x-opt-scheduled-enqueue-time`, an absolute timestamp: Service Bus, embedded.
    EnqueueTime,
    /// `x-opt-delivery-delay`, milliseconds: Artemis, ActiveMQ Classic.
    DeliveryDelay,
}

/// The data that the queue's configuration and the route add to a job.
#[derive(Debug, Clone)]
pub(crate) struct Envelope<'a> {
    pub id: &'a str,
    pub pipeline: &'a str,
    pub durable: bool,
    pub priority: Option<u8>,
    pub ttl: Option<Duration>,
    /// Unix milliseconds; for a broker that would lose a TTL on the way to the queue.
    pub expires_at: Option<i64>,
    pub delay: Duration,
    pub delay_mark: DelayMark,
    pub to: Option<&'a str>,
    /// The routing key, if the job goes to an exchange.
    pub routing_key: Option<&'a str>,
    /// Jobs with the same key stay together (Service Bus).
    pub partition_key: Option<&'a str>,
    /// Properties and annotations that the job sets itself.
    pub properties: &'a JobProperties<'a>,
    /// The message ends where the body's bytes begin.
    pub without_body: bool,
}

/// A duration in milliseconds, rounded up, so that a delay is never too short.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(i64::MAX)
}

/// The time `delay` after `now` (Unix milliseconds), some of which may have passed already.
pub(crate) fn due(now: i64, delay: Duration) -> i64 {
    now.saturating_add(millis(delay)).saturating_add(1)
}

/// Writes the header section.
pub(super) fn header(
    out: &mut Vec<u8>,
    durable: bool,
    priority: Option<u8>,
    ttl: Option<Duration>,
) {
    write::descriptor(out, section::HEADER);
    write::list(out, |out| {
        write::bool(out, durable);
        match priority {
            Some(priority) => write::ubyte(out, priority),
            None => write::null(out),
        }
        match ttl {
            Some(ttl) => write::uint(out, ttl.as_millis().min(u128::from(u32::MAX)) as u32),
            None => write::null(out),
        }
        3
    });
}

/// Writes the annotation that requests a delay; returns the count of keys and values.
pub(super) fn delay_annotation(
    out: &mut Vec<u8>,
    mark: DelayMark,
    now: i64,
    delay: Duration,
) -> u32 {
    if delay.is_zero() {
        return 0;
    }
    match mark {
        DelayMark::None => return 0,
        DelayMark::XDelay => {
            write::symbol(out, "x-delay");
            write::long(out, millis(delay));
        }
        DelayMark::EnqueueTime => {
            write::symbol(out, "x-opt-scheduled-enqueue-time");
            write::timestamp(out, due(now, delay));
        }
        DelayMark::DeliveryDelay => {
            write::symbol(out, "x-opt-delivery-delay");
            write::long(out, millis(delay));
        }
    }
    2
}

/// Writes the message annotations for the delay and the partition key, if there are any.
pub(super) fn annotations(out: &mut Vec<u8>, envelope: &Envelope<'_>, now: i64) {
    let is_delayed = !envelope.delay.is_zero() && envelope.delay_mark != DelayMark::None;
    let own = &envelope.properties.annotations;
    if !is_delayed && envelope.partition_key.is_none() && own.is_empty() {
        return;
    }
    write::descriptor(out, section::MESSAGE_ANNOTATIONS);
    write::map(out, |out| {
        delay_annotation(out, envelope.delay_mark, now, envelope.delay)
            + partition_annotation(out, envelope.partition_key)
            + own_annotations(out, envelope.properties)
    });
}

/// Writes the annotation with the partition key; returns the count of keys and values.
pub(super) fn partition_annotation(out: &mut Vec<u8>, key: Option<&str>) -> u32 {
    let Some(key) = key else {
        return 0;
    };
    write::symbol(out, PARTITION_KEY);
    write::string(out, key);
    2
}

/// Data for the properties section that is not in the envelope.
pub(super) struct Properties<'a> {
    pub subject: &'a str,
    pub correlation_id: Option<&'a str>,
    pub content_type: &'a str,
    pub content_encoding: Option<&'a str>,
    pub group: Option<&'a str>,
}

/// Writes the properties section.
pub(super) fn properties(
    out: &mut Vec<u8>,
    envelope: &Envelope<'_>,
    of: &Properties<'_>,
    now: i64,
) {
    let own = envelope.properties;
    write::descriptor(out, section::PROPERTIES);
    write::list(out, |out| {
        write::string(out, envelope.id);
        match &own.user_id {
            Some(user) => write::binary(out, user.as_bytes()),
            None => write::null(out),
        }
        optional(out, envelope.to.or(own.to.as_deref()));
        write::string(out, of.subject);
        optional(out, own.reply_to.as_deref());
        match &own.correlation {
            None => optional(out, of.correlation_id),
            Some(MessageId::Text(id)) => write::string(out, id),
            Some(MessageId::Binary(id)) => write::binary(out, id),
            Some(MessageId::Uuid(id)) => write::uuid(out, id),
            Some(MessageId::Number(id)) => write::ulong(out, *id),
        }
        write::symbol(out, of.content_type);
        match of.content_encoding {
            Some(encoding) => write::symbol(out, encoding),
            None => write::null(out),
        }
        match envelope.expires_at {
            Some(at) => write::timestamp(out, at),
            None => write::null(out),
        }
        write::timestamp(out, now);
        match (of.group, &own.reply_to_group) {
            (None, None) => 10,
            (Some(group), None) => {
                write::string(out, group);
                11
            }
            (group, Some(reply_to_group)) => {
                optional(out, group);
                write::null(out);
                write::string(out, reply_to_group);
                13
            }
        }
    });
}

fn optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => write::string(out, text),
        None => write::null(out),
    }
}

/// Encodes a whole message of a format whose body is only the payload. `application_properties`
/// writes these properties and returns the count of keys and values. `room` is the size reserved
/// for everything except the body and the headers.
pub(super) fn with_plain_body(
    job: &Job<'_>,
    envelope: &Envelope<'_>,
    room: usize,
    application_properties: impl FnOnce(&mut Vec<u8>) -> u32,
) -> Vec<u8> {
    let options = &job.options;
    let own = envelope.properties;
    let body = &job.payload.bytes;
    let room = room + options.headers.len() * 64;
    let mut out = match envelope.without_body {
        true => Vec::with_capacity(room),
        false => memory::buffer(body.len() + room),
    };
    let now = now_millis();
    header(&mut out, envelope.durable, envelope.priority, envelope.ttl);
    annotations(&mut out, envelope, now);
    let of = Properties {
        subject: own.subject.as_deref().unwrap_or(&job.name),
        correlation_id: options.trace_id.as_deref(),
        content_type: match &own.content_type {
            Some(content_type) => content_type,
            None if job.payload.json => JSON,
            None => OCTETS,
        },
        content_encoding: own.content_encoding.as_deref(),
        group: options.group.as_deref(),
    };
    properties(&mut out, envelope, &of, now);
    write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
    write::map(&mut out, application_properties);
    write::descriptor(&mut out, section::DATA);
    match envelope.without_body {
        true => write::binary_head(&mut out, body.len()),
        false => write::binary(&mut out, body),
    }
    out
}

/// Writes `x-delay`, which any consumer may read; returns the count of keys and values.
pub(super) fn delay_property(out: &mut Vec<u8>, delay: Duration) -> u32 {
    if delay.is_zero() {
        return 0;
    }
    write::string(out, "x-delay");
    write::long(out, millis(delay));
    2
}

/// A number of attempts in its wire type.
pub(super) fn attempts(attempts: u32) -> i32 {
    i32::try_from(attempts).unwrap_or(i32::MAX)
}

/// A delay in whole seconds, for `rr_delay`.
pub(super) fn seconds(delay: Duration) -> i32 {
    i32::try_from(delay.as_secs()).unwrap_or(i32::MAX)
}
