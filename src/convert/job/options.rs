//! A job's options.

use std::fmt::Display;

use amqp1_core::suggest::unknown_option;
use amqp1_core::JobOptions;
use ext_php_rs::types::ZendHashTable;

use super::headers::read_headers_option;
use crate::convert;
use crate::engine::table::{entries, Key};
use crate::engine::text::text;
use crate::fail::Fail;

/// Reads an options array into `options`: a named option replaces the existing one (headers one by
/// one), `null` leaves it.
///
/// # Errors
/// A configuration failure that names `method`, the option, and what is expected.
pub fn read_options<'a>(
    table: &'a ZendHashTable,
    method: &dyn Display,
    options: &mut JobOptions<'a>,
) -> Result<(), Fail> {
    // Two names of one property, which must agree.
    let mut correlation: Option<&str> = None;
    for (key, value) in entries(table) {
        let name = match key {
            Key::Name(name) => text(name).unwrap_or("\u{fffd}"),
            Key::Index(number) => {
                return Err(Fail::config(format!(
                    "{method}: options must be name => value pairs, got the key {number}"
                )));
            }
        };
        if value.dereference().is_null() && JobOptions::NAMES.contains(&name) {
            continue;
        }
        let path = OptionPath { method, name };
        match name {
            "priority" => {
                let priority = convert::int(value, 0..=255, &path)?;
                options.priority = u8::try_from(priority).ok();
            }
            "delay" => options.delay = Some(convert::delay(value, &path)?),
            "headers" => {
                read_headers_option(value, ("header", method), &path, &mut options.headers)?;
            }
            "ttl" => options.ttl = Some(convert::seconds(value, &path)?),
            "id" => options.id = Some(convert::not_empty(value, &path)?),
            "trace_id" | "correlation_id" => {
                let id = Some(convert::text(value, &path)?);
                if correlation.is_some() && id != options.trace_id {
                    return Err(Fail::config(format!(
                        "{method}: options 'trace_id' and 'correlation_id' are the same AMQP property and must be equal if both are set"
                    )));
                }
                (options.trace_id, correlation) = (id, Some(name));
            }
            "group" => options.group = Some(convert::text(value, &path)?),
            "partition_key" => options.partition_key = Some(convert::not_empty(value, &path)?),
            "routing_key" => options.routing_key = Some(convert::text(value, &path)?),
            "durable" => options.durable = Some(convert::bool(value, &path)?),
            "auto_ack" => options.auto_ack = Some(convert::bool(value, &path)?),
            "timeout" => options.timeout = Some(convert::seconds(value, &path)?),
            "content_type" | "content_encoding" | "reply_to" | "to" | "subject" | "user_id" => {
                let text = Some(convert::not_empty(value, &path)?);
                let properties = options.properties_mut();
                match name {
                    "content_type" => properties.content_type = text,
                    "content_encoding" => properties.content_encoding = text,
                    "reply_to" => properties.reply_to = text,
                    "to" => properties.to = text,
                    "subject" => properties.subject = text,
                    _ => properties.user_id = text,
                }
            }
            "annotations" => {
                let annotations = &mut options.properties_mut().annotations;
                read_headers_option(value, ("annotation", method), &path, annotations)?;
            }
            other => return Err(unknown(method, other)),
        }
    }
    Ok(())
}

fn unknown(method: &dyn Display, name: &str) -> Fail {
    Fail::config(unknown_option(
        &method.to_string(),
        name,
        &JobOptions::NAMES,
    ))
}

/// `METHOD: option 'NAME'`, formatted only for a message.
struct OptionPath<'a> {
    method: &'a dyn Display,
    name: &'a str,
}

impl Display for OptionPath<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: option '{}'", self.method, self.name)
    }
}
