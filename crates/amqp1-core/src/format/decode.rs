//! Decodes the job in a message, from any producer and in any format.

use std::cell::OnceCell;

use bstr::BString;
use bytes::Bytes;

use super::body::{self, text};
use super::changes::MESSAGE_ID;
use super::decoded::Seen;
use super::envelope::JSON;
use super::object::Object;
use super::{amqp1, babelqueue, failure, Decoded, Format, DEDUCED};
use crate::format::history::{count, History, ABANDONED, LOST};
use crate::format::PropertyMapping;
use crate::wire::message::Message;
use crate::wire::read::Value;
use crate::wire::DecodeError;

/// Recognises the format by the cheapest checks first: `rr_job` or `rr_id` among the application
/// properties, the properties of a BabelQueue SDK, the shape of the body. A message in no known
/// format is also a job: its id is the message-id, or empty until it gets a new one, and its name
/// is the subject.
pub(crate) fn decode(payload: Bytes, mapping: PropertyMapping) -> Result<Decoded, DecodeError> {
    let message = Message::parse(payload)?;
    let header = message.header()?;
    let properties = message.properties()?;
    let (body, converted, poison) = match body::bytes(&message) {
        Ok((body, converted)) => (body, converted, None),
        // Keeps the original sections, which the failed queue stores and returns.
        Err(error) => (
            message.body_sections().concat().into(),
            false,
            Some(error.0),
        ),
    };
    let mut found = Found::default();
    if let Some(mut items) = message.application_properties()? {
        while let Some((key, value)) = items.named()? {
            if let Some(key) = key {
                found.note(key, value);
            }
        }
    }
    let json = converted
        || properties
            .content_type
            .is_some_and(|content_type| content_type.starts_with(JSON.as_bytes()));
    let owned = |text: Option<&[u8]>| text.map(BString::from);
    let seen = Seen {
        delivery_count: header.delivery_count,
        priority: header.priority,
        schema_version: found.schema_version.map(text),
        mapping,
    };
    let history = match mapping {
        PropertyMapping::Annotations => History::of(&message, &header),
        _ => History::told(&header, found.abandoned, found.lost),
    };
    let is_roadrunner = found.is_roadrunner;
    let mut decoded = Decoded {
        format: Format::Roadrunner,
        id: found
            .id
            .or(found.copied_id.filter(|id| !id.is_empty()))
            .map(BString::from)
            .or_else(|| properties.message_id.map(text).filter(|id| !id.is_empty()))
            .unwrap_or_default(),
        name: found
            .name
            .or(properties.subject.filter(|subject| !subject.is_empty()))
            .unwrap_or(DEDUCED.as_bytes())
            .into(),
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
        history,
        expires_at: properties.absolute_expiry_time,
        headers: OnceCell::new(),
        poison: None,
        body,
        json,
        message,
    };
    if poison.is_some() {
        // A job in a failed queue is shown as it is.
        decoded.poison = poison.filter(|_| failure(&decoded).is_none());
        decoded.json = false;
        if !is_roadrunner {
            decoded.format = Format::Raw;
        }
        return Ok(decoded);
    }
    if is_roadrunner {
        return Ok(decoded);
    }
    Ok(foreign(decoded, &seen))
}

/// An undecodable message, as a job with the message's bytes as its body.
pub(crate) fn undecoded(bytes: Bytes) -> Decoded {
    Decoded {
        message: Message::empty(),
        format: Format::Raw,
        id: BString::default(),
        name: DEDUCED.into(),
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
        history: History::default(),
        expires_at: None,
        headers: OnceCell::new(),
        poison: None,
    }
}

/// A message without the `roadrunner` format's properties.
fn foreign(mut decoded: Decoded, seen: &Seen) -> Decoded {
    decoded.format = Format::Raw;
    decoded.priority = decoded.priority.or(seen.priority.map(i64::from));
    // A second handle on the same bytes: the values read from them borrow it.
    let whole = decoded.body.clone();
    let object = Object::parse(&whole);
    let marked = seen.schema_version.is_some() || babelqueue::is_marked(&decoded.message);
    let is_babelqueue = marked || object.as_ref().is_some_and(babelqueue::is_envelope);
    if is_babelqueue {
        babelqueue::read(&mut decoded, object.as_ref(), &whole, seen);
    } else if let Some(wrapper) = object.as_ref() {
        amqp1::read(&mut decoded, wrapper, &whole);
    }
    decoded
}

/// The application properties of an envelope.
#[derive(Default)]
struct Found<'a> {
    is_roadrunner: bool,
    id: Option<&'a [u8]>,
    /// The id of a job whose copy has a different message-id.
    copied_id: Option<&'a [u8]>,
    name: Option<&'a [u8]>,
    pipeline: Option<&'a [u8]>,
    delay: Option<i64>,
    delay_ms: Option<i64>,
    priority: Option<i64>,
    auto_ack: bool,
    attempts: u32,
    abandoned: u32,
    lost: u32,
    schema_version: Option<Value<'a>>,
}

impl<'a> Found<'a> {
    fn note(&mut self, key: &[u8], value: Value<'a>) {
        match key {
            b"rr_id" => {
                self.is_roadrunner = true;
                self.id = value.as_octets().filter(|id| !id.is_empty());
            }
            b"rr_job" => {
                self.is_roadrunner = true;
                self.name = value.as_octets().filter(|name| !name.is_empty());
            }
            key if key == MESSAGE_ID.as_bytes() => self.copied_id = value.as_octets(),
            b"rr_pipeline" => self.pipeline = value.as_octets(),
            b"rr_delay" => self.delay = value.as_int(),
            b"x-delay" => self.delay_ms = value.as_int(),
            b"rr_priority" => self.priority = value.as_int(),
            b"rr_auto_ack" => self.auto_ack = matches!(value, Value::Bool(true)),
            b"rr_attempts" => self.attempts = count(&value),
            key if key == ABANDONED.as_bytes() => self.abandoned = count(&value),
            key if key == LOST.as_bytes() => self.lost = count(&value),
            key if babelqueue::is_version(key) => self.schema_version = Some(value),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "foreign_tests.rs"]
mod tests;
