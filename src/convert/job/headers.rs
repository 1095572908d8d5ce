//! A job's headers.

use std::borrow::Cow;
use std::fmt::Display;

use amqp1_core::HeaderValue;
use ext_php_rs::types::{ZendHashTable, Zval};

use crate::convert;
use crate::engine::table::{entries, is_list, Entries, Key};
use crate::engine::text::text;
use crate::fail::Fail;

/// Headers in the caller's order.
type Headers<'a> = Vec<(Cow<'a, str>, HeaderValue<'a>)>;

/// Reads the option `headers` or `annotations`, which adds to existing ones and replaces those with
/// the same name. `what` says in messages what they are.
///
/// # Errors
/// A configuration failure that names the header.
pub fn read_headers_option<'a>(
    value: &'a Zval,
    (what, method): (&'static str, &dyn Display),
    path: &dyn Display,
    headers: &mut Headers<'a>,
) -> Result<(), Fail> {
    let Some(table) = value.array() else {
        return Err(convert::mismatch(path, "an array of name => value", value));
    };
    // An array behind a PHP reference may be freed while a call blocks.
    let owned = value.is_reference();
    if headers.is_empty() {
        *headers = Vec::with_capacity(table.len());
    }
    let defaults = headers.len();
    for (name, value) in NamedHeaders::new(table, what, method) {
        let name = name?;
        let value = read_header(value, &HeaderPath { what, method, name })?;
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

/// Reads the headers in an array that is a parameter itself.
///
/// # Errors
/// A configuration failure that names the header.
pub fn read_headers<'a>(
    table: &'a ZendHashTable,
    method: &dyn Display,
) -> Result<Headers<'a>, Fail> {
    let what = "header";
    NamedHeaders::new(table, what, method)
        .map(|(name, value)| {
            let name = name?;
            let value = read_header(value, &HeaderPath { what, method, name })?;
            Ok((Cow::Borrowed(name), value))
        })
        .collect()
}

/// The entries of an array of headers, with checked names.
struct NamedHeaders<'a, 'm> {
    entries: Entries<'a>,
    what: &'static str,
    method: &'m dyn Display,
}

impl<'a, 'm> NamedHeaders<'a, 'm> {
    fn new(table: &'a ZendHashTable, what: &'static str, method: &'m dyn Display) -> Self {
        Self {
            entries: entries(table),
            what,
            method,
        }
    }
}

impl<'a> Iterator for NamedHeaders<'a, '_> {
    type Item = (Result<&'a str, Fail>, &'a Zval);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.entries.next()?;
        let (what, method) = (self.what, self.method);
        let article = if what.starts_with('a') { "an" } else { "a" };
        let name = match key {
            Key::Name(name) => match text(name) {
                Some("") => Err(format!("{article} {what}'s name must not be empty")),
                Some(name) => Ok(name),
                None => Err(format!("{article} {what}'s name must be UTF-8")),
            },
            Key::Index(number) => Err(format!(
                "{what}s must be name => value pairs, got the key {number}"
            )),
        };
        Some((
            name.map_err(|problem| Fail::config(format!("{method}: {problem}"))),
            value,
        ))
    }
}

/// `METHOD: header 'NAME'`.
struct HeaderPath<'a> {
    what: &'static str,
    method: &'a dyn Display,
    name: &'a str,
}

impl Display for HeaderPath<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} '{}'", self.method, self.what, self.name)
    }
}

const HEADER_VALUE: &str = "a string, int, float, bool, or a list of them";

fn read_header<'a>(value: &'a Zval, path: &dyn Display) -> Result<HeaderValue<'a>, Fail> {
    let Some(list) = value.array() else {
        return read_header_scalar(value, path);
    };
    if list.is_empty() {
        return Err(Fail::config(format!(
            "{path}: the list of values must not be empty"
        )));
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
