//! What every format needs to know of one job, and the sections all write alike.

use std::time::Duration;

use crate::base::clock::now_millis;
use crate::job::Job;
use crate::wire::message::section;
use crate::wire::write;

/// A header of this name is the routing key of its job, and is not sent.
pub(crate) const ROUTING_KEY_HEADER: &str = "x-routing-key";

/// Annotation: messages of one partition key stay together (string).
pub(crate) const PARTITION_KEY: &str = "x-opt-partition-key";

/// content-type of JSON.
pub(super) const JSON: &str = "application/json";
/// content-type of a payload that was a string.
pub(super) const OCTETS: &str = "application/octet-stream";

/// How the broker is told about a delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DelayMark {
    /// Not at all: the address sees to it.
    None,
    /// `x-delay`, milliseconds: RabbitMQ's delayed-message exchange.
    XDelay,
    /// `x-opt-scheduled-enqueue-time`, an absolute timestamp: Service Bus, embedded.
    EnqueueTime,
    /// `x-opt-delivery-delay`, milliseconds: Artemis, ActiveMQ Classic.
    DeliveryDelay,
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
    /// Of the exchange it goes to, if it goes to one.
    pub routing_key: Option<&'a str>,
    /// Jobs of one key stay together (Service Bus).
    pub partition_key: Option<&'a str>,
}

/// A duration's milliseconds, begun ones counted whole: a delay is never shorter.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(i64::MAX)
}

/// So long after `now` (Unix milliseconds), of which a part may be over already.
pub(crate) fn due(now: i64, delay: Duration) -> i64 {
    now.saturating_add(millis(delay)).saturating_add(1)
}

/// The header section.
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

/// The annotation that asks for a delay; how many keys and values it is.
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

/// The message annotations: the delay's and the partition key's, none without them.
pub(super) fn annotations(out: &mut Vec<u8>, envelope: &Envelope<'_>, now: i64) {
    let is_delayed = !envelope.delay.is_zero() && envelope.delay_mark != DelayMark::None;
    if !is_delayed && envelope.partition_key.is_none() {
        return;
    }
    write::descriptor(out, section::MESSAGE_ANNOTATIONS);
    write::map(out, |out| {
        delay_annotation(out, envelope.delay_mark, now, envelope.delay)
            + partition_annotation(out, envelope.partition_key)
    });
}

/// The annotation of the partition key; how many keys and values it is.
pub(super) fn partition_annotation(out: &mut Vec<u8>, key: Option<&str>) -> u32 {
    let Some(key) = key else {
        return 0;
    };
    write::symbol(out, PARTITION_KEY);
    write::string(out, key);
    2
}

/// What goes into the properties section, besides what the envelope says.
pub(super) struct Properties<'a> {
    pub subject: &'a str,
    pub correlation_id: Option<&'a str>,
    pub content_type: &'static str,
    pub content_encoding: Option<&'static str>,
    pub group: Option<&'a str>,
}

/// The properties section.
pub(super) fn properties(
    out: &mut Vec<u8>,
    envelope: &Envelope<'_>,
    of: &Properties<'_>,
    now: i64,
) {
    write::descriptor(out, section::PROPERTIES);
    write::list(out, |out| {
        write::string(out, envelope.id);
        write::null(out); // user-id
        optional(out, envelope.to);
        write::string(out, of.subject);
        write::null(out); // reply-to
        optional(out, of.correlation_id);
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
        match of.group {
            Some(group) => {
                write::string(out, group);
                11
            }
            None => 10,
        }
    });
}

fn optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => write::string(out, text),
        None => write::null(out),
    }
}

/// The whole message of a format whose body is the payload and nothing else.
/// `application_properties` writes these and says how many keys and values they
/// are; `room` is what all sections but the body and the headers may take.
pub(super) fn with_plain_body(
    job: &Job<'_>,
    envelope: &Envelope<'_>,
    room: usize,
    application_properties: impl FnOnce(&mut Vec<u8>) -> u32,
) -> Vec<u8> {
    let options = &job.options;
    let body = &job.payload.bytes;
    let mut out = Vec::with_capacity(body.len() + room + options.headers.len() * 64);
    let now = now_millis();
    header(&mut out, envelope.durable, envelope.priority, envelope.ttl);
    annotations(&mut out, envelope, now);
    let of = Properties {
        subject: &job.name,
        correlation_id: options.trace_id.as_deref(),
        content_type: if job.payload.json { JSON } else { OCTETS },
        content_encoding: None,
        group: options.group.as_deref(),
    };
    properties(&mut out, envelope, &of, now);
    write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
    write::map(&mut out, application_properties);
    write::descriptor(&mut out, section::DATA);
    write::binary(&mut out, body);
    out
}

/// `x-delay`, which consumers of any kind may look for; how many keys and
/// values that is.
pub(super) fn delay_property(out: &mut Vec<u8>, delay: Duration) -> u32 {
    if delay.is_zero() {
        return 0;
    }
    write::string(out, "x-delay");
    write::long(out, millis(delay));
    2
}

/// A number of attempts as the wire has it.
pub(super) fn attempts(attempts: u32) -> i32 {
    i32::try_from(attempts).unwrap_or(i32::MAX)
}

/// A delay in whole seconds, as `rr_delay` has it.
pub(super) fn seconds(delay: Duration) -> i32 {
    i32::try_from(delay.as_secs()).unwrap_or(i32::MAX)
}
