//! Copies a message with changes: for a retry, a failed queue, a replay.
//!
//! Everything that does not change stays byte for byte: a foreign content-type, typed application
//! properties, annotations of its producer, the body's sections. This includes strings that are not
//! UTF-8. RabbitMQ sends and accepts them, and its 0-9-1 clients find them where they were. As
//! binaries, which AMQP provides for such bytes, RabbitMQ would move ids into headers. The broker's
//! own additions are removed. So is a `user-id` that the broker accepts only from that very user.

use bstr::BString;
use bytes::Bytes;

use super::changes::{Changes, FailureChange, MESSAGE_ID};
use super::envelope::{attempts, delay_annotation, delay_property, header, seconds};
use super::failure;
use super::object::Object;
use super::{amqp1, babelqueue, body, headers, names, Decoded, Format};
use crate::base::clock::now_millis;
use crate::format::history;
use crate::wire::message::{section, Body};
use crate::wire::read::{Items, Reader};
use crate::wire::write;

/// Encodes the whole copy.
pub(crate) fn copy(decoded: &Decoded, changes: &Changes<'_>) -> Bytes {
    let message = &decoded.message;
    let mut out = Vec::with_capacity(message.bytes().len() + 512);
    let original = message.header().unwrap_or_default();
    header(&mut out, decoded.durable, original.priority, changes.ttl);
    annotations(&mut out, decoded, changes);
    properties(&mut out, decoded, changes);
    let whole = match decoded.format {
        Format::Babelqueue | Format::Amqp1 => body::bytes(message).ok(),
        Format::Roadrunner | Format::Raw => None,
    };
    let whole = whole.unwrap_or_default();
    let envelope = Object::parse(&whole);
    let attempts_in_body = decoded.format == Format::Babelqueue
        && envelope
            .as_ref()
            .is_some_and(|envelope| babelqueue::counts(envelope, message));
    application_properties(&mut out, decoded, changes, attempts_in_body);
    let rewritten = envelope.and_then(|envelope| match decoded.format {
        Format::Babelqueue => babelqueue::rewritten(envelope, attempts_in_body, changes),
        Format::Amqp1 => amqp1::rewritten(envelope, decoded, changes),
        Format::Roadrunner | Format::Raw => None,
    });
    match (rewritten, message.body()) {
        (Some(json), Body::Value(_)) => {
            write::descriptor(&mut out, section::VALUE);
            write::string(&mut out, &json);
        }
        (Some(json), _) => {
            write::descriptor(&mut out, section::DATA);
            write::binary(&mut out, json.as_bytes());
        }
        // An undecodable message: its bytes are the body.
        (None, _) if message.bytes().is_empty() => {
            write::descriptor(&mut out, section::DATA);
            write::binary(&mut out, decoded.body());
        }
        (None, _) => {
            for section in message.body_sections() {
                out.extend_from_slice(section);
            }
        }
    }
    out.into()
}

/// The keys and values of a map as bytes, pair by pair, up to the first malformed one.
fn pairs<'a>(items: Option<Items<'a>>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let mut items = items;
    std::iter::from_fn(move || {
        let items = items.as_mut()?;
        let (key, value) = (items.next_encoded()?.ok()?, items.next_encoded()?.ok()?);
        Some((key.bytes(), value.bytes()))
    })
}

fn annotations(out: &mut Vec<u8>, decoded: &Decoded, changes: &Changes<'_>) {
    let (mut kept, mut count) = (Vec::new(), 0);
    for (key, value) in pairs(decoded.message.annotations().ok().flatten()) {
        let name = key_of(key).unwrap_or_default();
        if names::is_brokers_annotation(name) {
            continue;
        }
        kept.extend_from_slice(key);
        if name == babelqueue::ATTEMPTS.as_bytes() && decoded.format == Format::Babelqueue {
            write::int(&mut kept, attempts(changes.attempts));
        } else {
            kept.extend_from_slice(value);
        }
        count += 2;
    }
    count += delay_annotation(&mut kept, changes.delay_mark, now_millis(), changes.delay);
    if count > 0 {
        write::descriptor(out, section::MESSAGE_ANNOTATIONS);
        write::map(out, |out| {
            out.extend_from_slice(&kept);
            count
        });
    }
}

fn properties(out: &mut Vec<u8>, decoded: &Decoded, changes: &Changes<'_>) {
    const NULL: &[u8] = &[0x40];
    let mut fields: Vec<&[u8]> = Vec::with_capacity(13);
    if let Ok(Some(mut items)) = decoded.message.property_items() {
        while let Some(Ok(field)) = items.next_encoded() {
            fields.push(field.bytes());
        }
    }
    let known = decoded.message.properties().unwrap_or_default();
    let has_id = known
        .message_id
        .is_some_and(|id| !body::text(id.value()).is_empty());
    write::descriptor(out, section::PROPERTIES);
    write::list(out, |out| {
        let count = fields.len().max(9);
        for index in 0..count {
            let field = fields.get(index).copied().unwrap_or(NULL);
            match index {
                // The id stays the same from one delivery to the next.
                0 => match changes.message_id {
                    Some(id) => write::string(out, id),
                    None if !has_id => write_text(out, decoded.id()),
                    None => out.extend_from_slice(field),
                },
                1 if !changes.keeps_user_id => write::null(out),
                2 => match changes.to {
                    Some(to) => write::string(out, to),
                    None if changes.keeps_to => out.extend_from_slice(field),
                    None => write::null(out),
                },
                8 => match changes.expires_at {
                    Some(at) => write::timestamp(out, at),
                    None => write::null(out),
                },
                _ => out.extend_from_slice(field),
            }
        }
        count as u32
    });
}

fn application_properties(
    out: &mut Vec<u8>,
    decoded: &Decoded,
    changes: &Changes<'_>,
    attempts_in_body: bool,
) {
    let delayed = !changes.delay.is_zero();
    let is_babelqueue = decoded.format == Format::Babelqueue;
    let rewrites_headers = !changes.headers.is_empty() && decoded.format != Format::Amqp1;
    let is_replaced = |name: &[u8]| {
        let header = || {
            let mut new = changes.headers.iter();
            new.any(|(new, _)| new.as_bytes() == name)
        };
        match name {
            b"rr_attempts" => true,
            _ if name == history::ABANDONED.as_bytes() => true,
            _ if name == history::LOST.as_bytes() => true,
            _ if name == history::RELEASED_PROPERTY.as_bytes() => true,
            b"x-delay" => delayed,
            b"rr_headers" => rewrites_headers,
            _ if name == MESSAGE_ID.as_bytes() => changes.message_id.is_some(),
            _ if names::is_failure(name) => changes.touches_failure(),
            _ => !names::is_ours(name) && header(),
        }
    };
    let (mut kept, mut count, mut had_all_headers) = (Vec::new(), 0, false);
    for (key, value) in pairs(decoded.message.application_properties().ok().flatten()) {
        let name = key_of(key).unwrap_or_default();
        had_all_headers |= name == b"rr_headers";
        if is_replaced(name) {
            continue;
        }
        kept.extend_from_slice(key);
        match name {
            b"rr_delay" if delayed => write::int(&mut kept, seconds(changes.delay)),
            _ if is_babelqueue && name == names::ATTEMPTS_TEXT.as_bytes() => {
                write::string(&mut kept, &changes.attempts.to_string());
            }
            _ => kept.extend_from_slice(value),
        }
        count += 2;
    }
    if rewrites_headers {
        let all = headers::merged(decoded.headers(), changes.headers);
        if had_all_headers || !all.are_single() {
            write::string(&mut kept, "rr_headers");
            write::binary(&mut kept, &all.to_json());
            count += 2;
        }
    }
    count += delay_property(&mut kept, changes.delay);
    if changes.message_id.is_some() {
        write::string(&mut kept, MESSAGE_ID);
        write_text(&mut kept, decoded.id());
        count += 2;
    }
    if changes.attempts > 0 && !attempts_in_body {
        write::string(&mut kept, "rr_attempts");
        write::int(&mut kept, attempts(changes.attempts));
        count += 2;
    }
    if changes.lost > 0 {
        write::string(&mut kept, history::LOST);
        write::int(&mut kept, attempts(changes.lost));
        count += 2;
    }
    // The annotation stays with its original.
    let released = || decoded.release_reason();
    let reason = changes.reason.map(BString::from).or_else(released);
    if let Some(reason) = reason {
        write::string(&mut kept, history::RELEASED_PROPERTY);
        write_text(&mut kept, &reason);
        count += 2;
    }
    if let FailureChange::Set(facts) = changes.failure {
        count += failure::properties(facts, &mut kept);
    }
    count += headers::properties(&mut kept, changes.headers);
    if count > 0 {
        write::descriptor(out, section::APPLICATION_PROPERTIES);
        write::map(out, |out| {
            out.extend_from_slice(&kept);
            count
        });
    }
}

/// The bytes of a key that is a string or symbol.
fn key_of(bytes: &[u8]) -> Option<&[u8]> {
    Reader::new(bytes).value().ok()?.as_name()
}

/// Writes a string, or a binary if the text is not UTF-8.
fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    match std::str::from_utf8(text) {
        Ok(text) => write::string(out, text),
        Err(_) => write::binary(out, text),
    }
}

#[cfg(test)]
#[path = "copy_tests.rs"]
pub(super) mod tests;
