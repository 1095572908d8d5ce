//! A job as PHP gives it: name, payload, options, headers. Read straight into
//! the core's types, with nothing copied that can be borrowed.

use std::borrow::Cow;
use std::fmt::Display;

use amqp1_core::suggest::unknown_option;
use amqp1_core::{HeaderValue, JobOptions, Payload};
use ext_php_rs::boxed::ZBox;
use ext_php_rs::types::{ZendHashTable, ZendStr, Zval};

use crate::boundary::Fail;
use crate::convert;
use crate::json;
use crate::table::{entries, is_list, Key};

/// Headers in the caller's order.
pub type Headers<'a> = Vec<(Cow<'a, str>, HeaderValue<'a>)>;

/// A payload's bytes and what keeps them.
pub enum Body<'a> {
    /// A PHP string, as it is.
    Text(Cow<'a, [u8]>),
    /// The JSON of anything else.
    Json(Option<ZBox<ZendStr>>),
}

impl<'a> Body<'a> {
    /// A string travels as it is, anything else as JSON. May run `jsonSerialize()`.
    ///
    /// # Errors
    /// What the encoder says, or what `jsonSerialize()` threw.
    pub fn read(payload: Option<&'a Zval>, method: &dyn Display) -> Result<Self, Fail> {
        const NULL: &Zval = &Zval::new();
        let payload = payload.unwrap_or(NULL);
        match payload.zend_str() {
            Some(string) if payload.is_reference() => {
                Ok(Self::Text(Cow::Owned(string.as_bytes().to_vec())))
            }
            Some(string) => Ok(Self::Text(Cow::Borrowed(string.as_bytes()))),
            None => Ok(Self::Json(json::encode(payload.dereference(), method)?)),
        }
    }

    /// The payload, borrowed.
    pub fn payload(&self) -> Payload<'_> {
        match self {
            Self::Text(bytes) => Payload {
                bytes: Cow::Borrowed(bytes),
                json: false,
            },
            Self::Json(json) => Payload {
                bytes: Cow::Borrowed(json.as_ref().map_or(&[], |json| json.as_bytes())),
                json: true,
            },
        }
    }
}

/// Reads an options array over `options`: what it names replaces what was there
/// (headers one by one), `null` leaves it.
///
/// # Errors
/// A configuration failure that names `method`, the option and what is expected.
pub fn read_options<'a>(
    table: &'a ZendHashTable,
    method: &dyn Display,
    options: &mut JobOptions<'a>,
) -> Result<(), Fail> {
    for (key, value) in entries(table) {
        let name = match key {
            Key::Name(name) => name.as_str().unwrap_or("\u{fffd}"),
            Key::Index(number) => {
                return Err(Fail::config(format!(
                    "{method}: options are name => value, got the key {number}"
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
            "headers" => read_headers_option(value, method, &path, &mut options.headers)?,
            "ttl" => options.ttl = Some(convert::seconds(value, &path)?),
            "id" => options.id = Some(convert::not_empty(value, &path)?),
            "trace_id" => options.trace_id = Some(convert::text(value, &path)?),
            "group" => options.group = Some(convert::text(value, &path)?),
            "partition_key" => options.partition_key = Some(convert::not_empty(value, &path)?),
            "routing_key" => options.routing_key = Some(convert::text(value, &path)?),
            "durable" => options.durable = Some(convert::bool(value, &path)?),
            "auto_ack" => options.auto_ack = Some(convert::bool(value, &path)?),
            "timeout" => options.timeout = Some(convert::seconds(value, &path)?),
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

fn read_headers_option<'a>(
    value: &'a Zval,
    method: &dyn Display,
    path: &dyn Display,
    headers: &mut Headers<'a>,
) -> Result<(), Fail> {
    let Some(table) = value.array() else {
        return Err(convert::mismatch(path, "an array of name => value", value));
    };
    // Behind a PHP reference the array itself may go away while a call blocks.
    let owned = value.is_reference();
    if headers.is_empty() {
        headers.reserve(table.len());
    }
    let defaults = headers.len();
    for (name, value) in NamedHeaders::new(table, method) {
        let name = name?;
        let value = read_header(value, &HeaderPath { method, name })?;
        let (name, value) = if owned {
            (Cow::Owned(name.to_owned()), into_owned(value))
        } else {
            (Cow::Borrowed(name), value)
        };
        match headers[..defaults]
            .iter_mut()
            .find(|(known, _)| *known == name)
        {
            Some(known) => known.1 = value,
            None => headers.push((name, value)),
        }
    }
    Ok(())
}

/// The headers of an array that is a parameter itself.
///
/// # Errors
/// A configuration failure that names the header.
pub fn read_headers<'a>(
    table: &'a ZendHashTable,
    method: &dyn Display,
) -> Result<Headers<'a>, Fail> {
    NamedHeaders::new(table, method)
        .map(|(name, value)| {
            let name = name?;
            let value = read_header(value, &HeaderPath { method, name })?;
            Ok((Cow::Borrowed(name), value))
        })
        .collect()
}

/// The entries of an array of headers, names checked.
struct NamedHeaders<'a, 'm> {
    entries: crate::table::Entries<'a>,
    method: &'m dyn Display,
}

impl<'a, 'm> NamedHeaders<'a, 'm> {
    fn new(table: &'a ZendHashTable, method: &'m dyn Display) -> Self {
        Self {
            entries: entries(table),
            method,
        }
    }
}

impl<'a> Iterator for NamedHeaders<'a, '_> {
    type Item = (Result<&'a str, Fail>, &'a Zval);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.entries.next()?;
        let name = match key {
            Key::Name(name) => match name.as_str() {
                Ok("") => Err("a header's name must not be empty".to_owned()),
                Ok(name) => Ok(name),
                Err(_) => Err("a header's name must be UTF-8".to_owned()),
            },
            Key::Index(number) => Err(format!("headers are name => value, got the key {number}")),
        };
        let method = self.method;
        Some((
            name.map_err(|problem| Fail::config(format!("{method}: {problem}"))),
            value,
        ))
    }
}

/// `METHOD: header 'NAME'`.
struct HeaderPath<'a> {
    method: &'a dyn Display,
    name: &'a str,
}

impl Display for HeaderPath<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: header '{}'", self.method, self.name)
    }
}

const HEADER_VALUE: &str = "a string, int, float, bool, or a list of them";

fn read_header<'a>(value: &'a Zval, path: &dyn Display) -> Result<HeaderValue<'a>, Fail> {
    let Some(list) = value.array() else {
        return read_header_scalar(value, path);
    };
    if list.is_empty() {
        return Err(Fail::config(format!("{path}: the list of values is empty")));
    }
    if !is_list(list) {
        return Err(convert::mismatch(path, HEADER_VALUE, value));
    }
    let owned = value.is_reference();
    let values = entries(list).map(|(_, item)| {
        let item = read_header_scalar(item, path)?;
        Ok(if owned { into_owned(item) } else { item })
    });
    Ok(HeaderValue::List(values.collect::<Result<_, Fail>>()?))
}

fn read_header_scalar<'a>(value: &'a Zval, path: &dyn Display) -> Result<HeaderValue<'a>, Fail> {
    let plain = value.dereference();
    if let Some(number) = plain.long() {
        Ok(HeaderValue::Int(number))
    } else if let Some(value) = plain.bool() {
        Ok(HeaderValue::Bool(value))
    } else if let Some(number) = plain.double() {
        Ok(HeaderValue::Float(number))
    } else if plain.is_string() || plain.is_object() {
        match convert::text(value, path) {
            Err(Fail::Core(_)) if plain.is_object() => {
                Err(convert::mismatch(path, HEADER_VALUE, plain))
            }
            text => Ok(HeaderValue::Text(text?)),
        }
    } else {
        Err(convert::mismatch(path, HEADER_VALUE, plain))
    }
}

fn into_owned<'b>(value: HeaderValue<'_>) -> HeaderValue<'b> {
    match value {
        HeaderValue::Text(text) => HeaderValue::Text(Cow::Owned(text.into_owned())),
        HeaderValue::Int(number) => HeaderValue::Int(number),
        HeaderValue::Float(number) => HeaderValue::Float(number),
        HeaderValue::Bool(value) => HeaderValue::Bool(value),
        HeaderValue::List(values) => {
            HeaderValue::List(values.into_iter().map(into_owned).collect())
        }
    }
}
