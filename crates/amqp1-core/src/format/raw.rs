//! The `raw` format: the body is the payload, without an envelope. The job's name is the subject,
//! its id the message-id, and its headers are application properties.

use super::envelope::{delay_property, with_plain_body, Envelope};
use super::headers;
use crate::job::Job;

/// Encodes the whole message.
pub(crate) fn encode(job: &Job<'_>, envelope: &Envelope<'_>) -> Vec<u8> {
    with_plain_body(job, envelope, 192, |out| {
        delay_property(out, envelope.delay) + headers::of_job(out, job)
    })
}

#[cfg(test)]
#[path = "raw_tests.rs"]
mod tests;
