//! Decodes the job in a message, from any producer and in any format.

use std::cell::OnceCell;

use bytes::Bytes;

use super::body::{self, text};
use super::changes::MESSAGE_ID;
use super::decoded::Seen;
use super::envelope::is_json;
use super::headers::HeaderPlaces;
use super::object::Object;
use super::part::Part;
use super::{amqp1, babelqueue, failure, Decoded, Format, DEDUCED};
use crate::format::history::{count, History, ABANDONED, LOST};
use crate::format::PropertyMapping;
use crate::wire::message::Message;
use crate::wire::read::Encoded;
use crate::wire::DecodeError;

/// Recognises the format by the cheapest checks first: `rr_job` or `rr_id` among the application
/// properties, the properties of a BabelQueue SDK, the shape of the body. A message in no known
/// format is also a job: its id is the message-id, or empty until it gets a new one, and its name
/// is the subject.
pub(crate) fn decode(payload: Bytes, mapping: PropertyMapping) -> Result<Decoded, DecodeError> {
    let message = Message::parse(payload)?;
    let header = message.header()?;
    let properties = message.properties()?;
    let (body, converted, poison) = match body::part(&message) {
        Ok((body, converted)) => (body, converted, None),
        // Keeps the original sections, which the failed queue stores and returns.
        Err(error) => (
            message.body_sections().concat().into(),
            false,
            Some(error.0),
        ),
    };
    let mut found = Found::default();
    let mut others = None;
    if let Some(mut items) = message.application_properties()? {
        loop {
            let before = items;
            let Some((key, value)) = items.named()? else {
                break;
            };
            match key {
                Some(key @ [b'r', b'r', b'_', ..]) => found.note(key, value),
                Some(key) => {
                    others.get_or_insert(before);
                    found.note_other(key, value);
                }
                None => {}
            }
        }
    }
    let json = converted || properties.content_type.is_some_and(is_json);
    let part = |bytes: &[u8]| Part::of(&message, bytes);
    let text_of = |value: Encoded<'_>| match value.as_octets() {
        Some(bytes) => part(bytes),
        None => Part::from(Vec::from(text(value.value()))),
    };
    let seen = Seen {
        delivery_count: header.delivery_count,
        priority: header.priority,
        schema_version: found.schema_version.map(|version| text(version.value())),
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
            .map(part)
            .or_else(|| properties.message_id.map(text_of))
            .unwrap_or(Part::EMPTY),
        name: match found
            .name
            .or(properties.subject.filter(|it| !it.is_empty()))
        {
            Some(name) => part(name),
            None => DEDUCED.into(),
        },
        pipeline: found.pipeline.map(part),
        trace_id: properties.correlation_id.map(text_of),
        group: properties.group_id.map(part),
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
        header_places: HeaderPlaces {
            all: found.headers.and_then(|all| message.range_of(all.bytes())),
            others: others
                .map(|items| message.rest_of(&items))
                .unwrap_or_default(),
        },
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
        id: Part::EMPTY,
        name: DEDUCED.into(),
        pipeline: None,
        body: bytes.into(),
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
        header_places: HeaderPlaces::default(),
        poison: None,
    }
}

/// A message without the `roadrunner` format's properties.
fn foreign(mut decoded: Decoded, seen: &Seen) -> Decoded {
    decoded.format = Format::Raw;
    decoded.priority = decoded.priority.or(seen.priority.map(i64::from));
    let is_marked = seen.schema_version.is_some() || babelqueue::is_marked(&decoded.message);
    if !is_marked && !Object::is_likely(decoded.body()) {
        return decoded;
    }
    // A second handle on the same bytes: the values read from them borrow it.
    let whole = decoded.body_bytes();
    let object = Object::parse(&whole);
    let is_babelqueue = is_marked || object.as_ref().is_some_and(babelqueue::is_envelope);
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
    headers: Option<Encoded<'a>>,
    schema_version: Option<Encoded<'a>>,
}

impl<'a> Found<'a> {
    /// Notes a property whose name begins with `rr_`.
    #[inline]
    fn note(&mut self, key: &[u8], value: Encoded<'a>) {
        match key {
            b"rr_id" => {
                self.is_roadrunner = true;
                self.id = value.as_octets().filter(|id| !id.is_empty());
            }
            b"rr_job" => {
                self.is_roadrunner = true;
                self.name = value.as_octets().filter(|name| !name.is_empty());
            }
            b"rr_pipeline" => self.pipeline = value.as_octets(),
            b"rr_headers" => self.headers = self.headers.or(Some(value)),
            b"rr_delay" => self.delay = value.as_int(),
            b"rr_priority" => self.priority = value.as_int(),
            b"rr_auto_ack" => self.auto_ack = value.is_true(),
            b"rr_attempts" => self.attempts = count(value),
            _ if key == MESSAGE_ID.as_bytes() => self.copied_id = value.as_octets(),
            _ if key == ABANDONED.as_bytes() => self.abandoned = count(value),
            _ if key == LOST.as_bytes() => self.lost = count(value),
            _ => {}
        }
    }

    /// Notes a property with another name. Most of these are headers.
    #[inline]
    fn note_other(&mut self, key: &[u8], value: Encoded<'a>) {
        if key == b"x-delay" {
            self.delay_ms = value.as_int();
        } else if babelqueue::is_version(key) {
            self.schema_version = Some(value);
        }
    }
}

#[cfg(test)]
#[path = "foreign_tests.rs"]
mod tests;
