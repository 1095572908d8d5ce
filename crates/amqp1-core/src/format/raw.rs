//! The `raw` format: the payload is the body, and there is no envelope. The
//! job's name is the subject, its id the message-id, its headers are
//! application properties.

use super::envelope::{
    annotations, delay_property, header, now_millis, properties, Envelope, Properties, JSON, OCTETS,
};
use super::headers;
use crate::job::Job;
use crate::wire::message::section;
use crate::wire::write;

/// The whole message.
pub(crate) fn encode(job: &Job<'_>, envelope: &Envelope<'_>) -> Vec<u8> {
    let options = &job.options;
    let body = &job.payload.bytes;
    let mut out = Vec::with_capacity(body.len() + 192 + options.headers.len() * 64);
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
    write::map(&mut out, |out| {
        delay_property(out, envelope.delay) + headers::of_job(out, job)
    });
    write::descriptor(&mut out, section::DATA);
    write::binary(&mut out, body);
    out
}

#[cfg(test)]
#[path = "raw_tests.rs"]
mod tests;
