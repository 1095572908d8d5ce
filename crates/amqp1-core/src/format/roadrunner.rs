//! The `roadrunner` format, which RoadRunner's own 0-9-1 driver reads and writes.
//!
//! The payload is the body. `rr_*` application properties carry the envelope (RabbitMQ maps them to
//! 0-9-1 headers with their types). The caller's headers are application properties as well, so
//! that a consumer in any language sees them without decoding anything.

use super::envelope::{delay_property, seconds, with_plain_body, Envelope};
use super::headers;
use crate::job::Job;
use crate::wire::write;

/// Encodes the whole message.
pub(crate) fn encode(job: &Job<'_>, envelope: &Envelope<'_>) -> Vec<u8> {
    with_plain_body(job, envelope, 384, |out| {
        application_properties(out, job, envelope)
    })
}

fn application_properties(out: &mut Vec<u8>, job: &Job<'_>, envelope: &Envelope<'_>) -> u32 {
    let options = &job.options;
    write::literal!(out, "rr_id");
    write::string(out, envelope.id);
    write::literal!(out, "rr_job");
    write::string(out, &job.name);
    write::literal!(out, "rr_pipeline");
    write::string(out, envelope.pipeline);
    write::literal!(out, "rr_headers");
    write::binary_of(out, |out| headers::write_json(out, &options.headers));
    write::literal!(out, "rr_delay");
    write::int(out, seconds(envelope.delay));
    write::literal!(out, "rr_priority");
    write::long(out, i64::from(envelope.priority.unwrap_or(4)));
    write::literal!(out, "rr_auto_ack");
    write::bool(out, options.auto_ack.unwrap_or(false));
    14 + delay_property(out, envelope.delay) + headers::properties(out, &options.headers)
}

#[cfg(test)]
#[path = "roadrunner_tests.rs"]
mod tests;
