//! The `amqp1` format: the JSON wrapper of the Go driver with that name.
//!
//! `{"header":{"rr_id":…,"rr_job":…,…},"body":"the payload as a string"}`. That driver replaces
//! bytes of the body that are not UTF-8. Here, such a body is encoded as base64, and
//! `rr_body_encoding` in the header says so. The driver ignores unknown header fields.

use std::borrow::Cow;
use std::fmt::Write;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use bytes::Bytes;

use super::changes::{Changes, FailureChange};
use super::envelope::{
    annotations, delay_property, header, properties, seconds, Envelope, Properties, JSON,
};
use super::failure::{self, DEAD_LETTER};
use super::headers::{self, HeaderPlaces, Headers};
use super::object::{self, quoted, Object};
use super::part::Part;
use super::{body, Decoded, Format, DEDUCED};
use crate::base::clock::now_millis;
use crate::job::Job;
use crate::wire::message::{section, Message};
use crate::wire::write;

const BASE64: &str = "base64";

/// Encodes the whole message.
pub(crate) fn encode(job: &Job<'_>, envelope: &Envelope<'_>) -> Vec<u8> {
    let options = &job.options;
    let wrapper = wrapper(job, envelope);
    let mut out = Vec::with_capacity(wrapper.len() + 320 + options.headers.len() * 64);
    let now = now_millis();
    header(&mut out, envelope.durable, envelope.priority, envelope.ttl);
    annotations(&mut out, envelope, now);
    let of = Properties {
        subject: match &envelope.properties.subject {
            Some(subject) => subject,
            None => envelope.routing_key.unwrap_or(&job.name),
        },
        correlation_id: options.trace_id.as_deref(),
        content_type: JSON,
        content_encoding: None,
        group: options.group.as_deref(),
    };
    properties(&mut out, envelope, &of, now);
    write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
    write::map(&mut out, |out| {
        let mut count = delay_property(out, envelope.delay);
        if let Some(key) = envelope.routing_key {
            write::string(out, "x-routing-key");
            write::string(out, key);
            count += 2;
        }
        count + headers::properties(out, &options.headers)
    });
    write::descriptor(&mut out, section::DATA);
    write::binary(&mut out, wrapper.as_bytes());
    out
}

fn wrapper(job: &Job<'_>, envelope: &Envelope<'_>) -> String {
    let payload = &job.payload;
    let mut json = String::with_capacity(payload.bytes.len() + 256);
    // Writing to memory cannot fail.
    let _ = write!(
        json,
        r#"{{"header":{{"rr_id":{},"rr_job":{},"rr_pipeline":{},"rr_headers":"{}","rr_delay":{},"rr_priority":{},"rr_auto_ack":{}"#,
        quoted(envelope.id),
        quoted(&job.name),
        quoted(envelope.pipeline),
        STANDARD.encode(headers::to_json(&job.options.headers)),
        seconds(envelope.delay),
        envelope.priority.unwrap_or(4),
        job.options.auto_ack.unwrap_or(false),
    );
    if payload.json {
        let _ = write!(json, r#","rr_content_type":"{JSON}""#);
    }
    match std::str::from_utf8(&payload.bytes) {
        Ok(text) => {
            let _ = write!(json, r#"}},"body":{}}}"#, quoted(text));
        }
        Err(_) => {
            let encoded = STANDARD.encode(&payload.bytes);
            let _ = write!(
                json,
                r#","rr_body_encoding":"{BASE64}"}},"body":"{encoded}"}}"#
            );
        }
    }
    json
}

/// The wrapper's header: an object that names the job or its id. Versions of the Go driver differ
/// in the prefix `rr_`.
fn header_of<'a>(wrapper: &'a Object<'_>) -> Option<Object<'a>> {
    let header = wrapper.object("header").filter(|_| wrapper.has("body"))?;
    let is_ours = header.has("rr_id") || header.has("rr_job");
    let is_bare = header.has("id") && header.has("job");
    (is_ours || is_bare).then_some(header)
}

/// A field of the header as JSON, by its name without `rr_`.
fn field<'a>(header: &'a Object<'_>, name: &str) -> Option<&'a str> {
    header
        .get(&format!("rr_{name}"))
        .or_else(|| header.get(name))
}

fn text_field(header: &Object<'_>, name: &str) -> Option<String> {
    field(header, name)
        .and_then(object::text)
        .filter(|text| !text.is_empty())
        .map(Cow::into_owned)
}

/// Reads the wrapper into a job; anything else stays unchanged.
pub(super) fn read(decoded: &mut Decoded, wrapper: &Object<'_>, whole: &Bytes) {
    let (Some(header), Some(body)) = (header_of(wrapper), wrapper.get("body")) else {
        return;
    };
    decoded.format = Format::Amqp1;
    if let Some(id) = text_field(&header, "id") {
        decoded.id = id.into();
    }
    // In this format, the subject is the routing key.
    decoded.name = text_field(&header, "job").map_or_else(|| DEDUCED.into(), Part::from);
    decoded.pipeline = text_field(&header, "pipeline").map(Part::from);
    let integer = |name| field(&header, name).and_then(|raw| raw.parse::<i64>().ok());
    decoded.priority = integer("priority").or(decoded.priority);
    if decoded.delay == 0.0 {
        decoded.delay = integer("delay").unwrap_or(0) as f64;
    }
    decoded.auto_ack |= field(&header, "auto_ack") == Some("true");
    decoded.json = text_field(&header, "content_type").is_some_and(|of| of.starts_with(JSON));
    let is_base64 = header.text("rr_body_encoding").as_deref() == Some(BASE64);
    decoded.body = match object::text(body) {
        Some(text) if is_base64 => match STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => bytes.into(),
            Err(_) => text.into_owned().into(),
        },
        Some(Cow::Borrowed(text)) => whole.slice_ref(text.as_bytes()).into(),
        Some(Cow::Owned(text)) => text.into(),
        None => {
            decoded.json = true;
            whole.slice_ref(body.as_bytes()).into()
        }
    };
}

/// The wrapper's headers, then those that others added as application properties.
pub(super) fn headers(message: &Message, places: &HeaderPlaces) -> Headers {
    let mut all = Headers::default();
    if let Ok(whole) = body::bytes(message) {
        let wrapper = Object::parse(&whole);
        let header = wrapper.as_ref().and_then(header_of);
        if let Some(raw) = header.as_ref().and_then(|of| field(of, "headers")) {
            let text = object::text(raw);
            let decoded = text.as_ref().map(|text| STANDARD.decode(text.as_bytes()));
            match (decoded, &text) {
                (Some(Ok(json)), _) => headers::from_json(message, &json, &mut all),
                (_, Some(text)) => headers::from_json(message, text.as_bytes(), &mut all),
                (_, None) => headers::from_json(message, raw.as_bytes(), &mut all),
            }
        }
    }
    headers::add_properties(message, places, &mut all);
    all
}

/// The wrapper with the changes; `None` if none concern it.
pub(super) fn rewritten(
    mut wrapper: Object<'_>,
    decoded: &Decoded,
    changes: &Changes<'_>,
) -> Option<String> {
    let mut header = header_of(&wrapper)?;
    let mut changed = false;
    if !changes.headers.is_empty() {
        let all = headers::merged(decoded.headers(), changes.headers);
        let encoded = STANDARD.encode(all.to_json());
        header.set("rr_headers", format!("\"{encoded}\""));
        changed = true;
    }
    if !changes.delay.is_zero() {
        header.set("rr_delay", seconds(changes.delay).to_string());
        changed = true;
    }
    match changes.failure {
        FailureChange::Set(facts) => {
            header.set(DEAD_LETTER, failure::json(facts));
            changed = true;
        }
        FailureChange::Forget if header.has(DEAD_LETTER) => {
            header.remove(DEAD_LETTER);
            changed = true;
        }
        FailureChange::Forget | FailureChange::Keep => {}
    }
    let header = changed.then(|| header.to_json())?;
    wrapper.set("header", header);
    Some(wrapper.to_json())
}

#[cfg(test)]
#[path = "amqp1_tests.rs"]
mod tests;
