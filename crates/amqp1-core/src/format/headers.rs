//! A job's headers: each one as an application property, and all of them, with all values, as the
//! JSON in `rr_headers`.

mod reading;

use std::borrow::Cow;
use std::ops::Range;

use bstr::{BStr, ByteVec as _};

pub(super) use self::reading::{add_properties, from_json, read};
use super::annotations::scalar;
use super::body::float;
use super::envelope::ROUTING_KEY_HEADER;
use super::names::is_ours;
use super::object::{quote, quote_bytes};
use super::part::Part;
use crate::job::{HeaderValue, Job};
use crate::wire::message::{Message, Rest};
use crate::wire::write;

/// The caller's headers.
pub(super) type Given<'a> = [(Cow<'a, str>, HeaderValue<'a>)];

/// A message's headers, in order.
#[derive(Debug, Default)]
pub(crate) struct Headers(Vec<Header>);

/// Where a message's headers are.
#[derive(Debug, Default)]
pub(crate) struct HeaderPlaces {
    /// The value of `rr_headers`.
    pub all: Option<Range<usize>>,
    /// The application properties from the first one on that may be a header.
    pub others: Rest,
}

/// A header has at least one value, and most have no more.
#[derive(Debug)]
struct Header {
    name: Part,
    first: Part,
    others: Vec<Part>,
}

impl Headers {
    fn has(&self, name: &[u8], message: &Message) -> bool {
        self.0.iter().any(|known| known.name.get(message) == name)
    }
}

/// The headers of a job in order, each with at least one value.
#[derive(Debug, Clone, Copy)]
pub struct HeadersOf<'a> {
    headers: &'a [Header],
    message: &'a Message,
}

impl<'a> HeadersOf<'a> {
    pub(super) fn new(headers: &'a Headers, message: &'a Message) -> Self {
        let headers = headers.0.as_slice();
        Self { headers, message }
    }

    /// The number of headers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.headers.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'a BStr, ValuesOf<'a>)> {
        let message = self.message;
        let headers = self.headers.iter();
        headers.map(move |header| {
            (
                header.name.get(message).into(),
                ValuesOf { header, message },
            )
        })
    }

    /// The values of the header with this name, regardless of case.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<ValuesOf<'a>> {
        let found = self
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, values)| values)
    }
}

/// The values of a header.
#[derive(Debug, Clone, Copy)]
pub struct ValuesOf<'a> {
    header: &'a Header,
    message: &'a Message,
}

impl<'a> ValuesOf<'a> {
    /// The number of values: at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.header.others.len()
    }

    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a BStr> {
        let (message, header) = (self.message, self.header);
        let parts = std::iter::once(&header.first).chain(&header.others);
        parts.map(move |part| part.get(message).into())
    }
}

/// Writes one property for each header, with its first value; returns the count of keys and values.
pub(super) fn properties(out: &mut Vec<u8>, headers: &Given<'_>) -> u32 {
    let mut count = 0;
    for (name, value) in headers {
        if is_ours(name.as_bytes()) {
            continue;
        }
        let first = match value {
            HeaderValue::List(values) => values.first(),
            scalar => Some(scalar),
        };
        if let Some(first) = first {
            write::string(out, name);
            scalar(out, first);
            count += 2;
        }
    }
    count
}

/// Whether a property can carry each header completely.
pub(super) fn are_single(headers: &Given<'_>) -> bool {
    headers.iter().all(|(name, value)| match value {
        HeaderValue::List(values) => values.len() == 1 && !is_ours(name.as_bytes()),
        _ => !is_ours(name.as_bytes()) || name == ROUTING_KEY_HEADER,
    })
}

/// Writes the headers of a job in a format without a place for them, and other parts of the job
/// without one; returns the count of keys and values.
pub(super) fn of_job(out: &mut Vec<u8>, job: &Job<'_>) -> u32 {
    let options = &job.options;
    let mut count = properties(out, &options.headers);
    if !are_single(&options.headers) {
        write::string(out, "rr_headers");
        write::binary(out, &to_json(&options.headers));
        count += 2;
    }
    if options.auto_ack == Some(true) {
        write::string(out, "rr_auto_ack");
        write::bool(out, true);
        count += 2;
    }
    count
}

/// name → list of strings, as one JSON object.
pub(super) fn to_json(headers: &Given<'_>) -> Vec<u8> {
    let mut json = Vec::with_capacity(2 + headers.len() * 40);
    write_json(&mut json, headers);
    json
}

/// Appends [`to_json`].
pub(super) fn write_json(json: &mut Vec<u8>, headers: &Given<'_>) {
    let start = json.len();
    json.push(b'{');
    for (name, value) in headers {
        if name == ROUTING_KEY_HEADER {
            continue;
        }
        if json.len() > start + 1 {
            json.push(b',');
        }
        quote(json, name);
        json.extend_from_slice(b":[");
        match value {
            HeaderValue::List(values) => listed(json, values, quote_value),
            scalar => quote_value(json, scalar),
        }
        json.push(b']');
    }
    json.push(b'}');
}

fn listed<T>(
    json: &mut Vec<u8>,
    values: impl IntoIterator<Item = T>,
    write: impl Fn(&mut Vec<u8>, T),
) {
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        write(json, value);
    }
}

fn quote_value(json: &mut Vec<u8>, value: &HeaderValue<'_>) {
    match value {
        HeaderValue::Text(text) => quote(json, text),
        HeaderValue::Int(value) => {
            json.push(b'"');
            let _ = serde_json::to_writer(&mut *json, value);
            json.push(b'"');
        }
        HeaderValue::Float(value) => quote(json, &float(*value)),
        HeaderValue::Bool(value) => quote(json, if *value { "true" } else { "false" }),
        HeaderValue::List(_) => quote(json, ""),
    }
}

/// A job's own headers, and those that replace or extend them.
pub(super) struct Merged<'a> {
    kept: Vec<(&'a BStr, ValuesOf<'a>)>,
    changed: &'a Given<'a>,
}

/// `known`, with `changed` replacing and adding headers.
pub(super) fn merged<'a>(known: HeadersOf<'a>, changed: &'a Given<'a>) -> Merged<'a> {
    let is_changed = |known: &BStr| changed.iter().any(|(new, _)| known == new.as_bytes());
    let kept = known.iter().filter(|(name, _)| !is_changed(name)).collect();
    Merged { kept, changed }
}

impl Merged<'_> {
    /// Whether a property can carry each header completely.
    pub fn are_single(&self) -> bool {
        let mut kept = self.kept.iter();
        kept.all(|(name, values)| {
            values.count() == 1 && (!is_ours(name) || *name == ROUTING_KEY_HEADER)
        }) && are_single(self.changed)
    }

    /// name → list of strings, as one JSON object.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = vec![b'{'];
        for (name, values) in &self.kept {
            if *name == ROUTING_KEY_HEADER {
                continue;
            }
            quote_bytes(&mut json, name);
            json.push_str(":[");
            listed(&mut json, values.iter(), |json, value| {
                quote_bytes(json, value)
            });
            json.push_str("],");
        }
        let mut changed = to_json(self.changed);
        match changed.as_slice() {
            b"{}" => {
                if json.last() == Some(&b',') {
                    json.pop();
                }
                json.push(b'}');
            }
            _ => json.extend(changed.drain(1..)),
        }
        json
    }
}
