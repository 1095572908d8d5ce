//! A job's headers: each one as an application property, and all of them, with all values, as the
//! JSON in `rr_headers`.

use std::borrow::Cow;
use std::fmt;

use bstr::{BString, ByteVec as _};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

use super::body::{float, text};
use super::envelope::ROUTING_KEY_HEADER;
use super::names::is_ours;
use super::object::{quote, quote_bytes};
use super::Headers;
use crate::job::{HeaderValue, Job};
use crate::wire::message::Message;
use crate::wire::read::{Reader, Value};
use crate::wire::write;

/// The caller's headers.
pub(super) type Given<'a> = [(Cow<'a, str>, HeaderValue<'a>)];

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

pub(super) fn scalar(out: &mut Vec<u8>, value: &HeaderValue<'_>) {
    match value {
        HeaderValue::Text(text) => write::string(out, text),
        HeaderValue::Int(value) => write::long(out, *value),
        HeaderValue::Float(value) => write::double(out, *value),
        HeaderValue::Bool(value) => write::bool(out, *value),
        HeaderValue::List(_) => write::null(out),
    }
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

fn listed<T>(json: &mut Vec<u8>, values: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    for (index, value) in values.iter().enumerate() {
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

/// The headers of a message: those of `rr_headers`, then those that others added as application
/// properties.
pub(super) fn read(message: &Message) -> Headers {
    let mut headers = Headers::new();
    let Ok(Some(mut entries)) = message.application_properties() else {
        return headers;
    };
    while let Ok(Some((name, value))) = entries.named_bytes() {
        if name == Some(b"rr_headers") {
            match Reader::new(value).value() {
                Ok(Value::Binary(json)) => from_json(json, &mut headers),
                Ok(Value::Text(json)) => from_json(json.as_bytes(), &mut headers),
                _ => {}
            }
            break;
        }
    }
    add_properties(message, &mut headers);
    headers
}

/// Adds the application properties that are headers.
pub(super) fn add_properties(message: &Message, headers: &mut Headers) {
    let Ok(Some(mut entries)) = message.application_properties() else {
        return;
    };
    while let Ok(Some((name, value))) = entries.named_bytes() {
        let Some(name) = name.filter(|name| !name.starts_with(b"rr_")) else {
            continue;
        };
        let is_known = |(known, _): &(BString, _)| known == name;
        if headers.iter().any(is_known) {
            continue;
        }
        let Ok(value) = Reader::new(value).value() else {
            return;
        };
        if !is_ours(name) {
            headers.push((name.into(), vec![text(value)]));
        }
    }
}

/// Reads `rr_headers`. If it is not a map of string lists, reads as much as possible.
pub(super) fn from_json(json: &[u8], headers: &mut Headers) {
    struct InOrder<'a> {
        headers: &'a mut Headers,
        lenient: bool,
    }
    impl<'de> Visitor<'de> for InOrder<'_> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of lists of strings")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            let lenient = self.lenient;
            while let Some(name) = map.next_key_seed(Name { lenient })? {
                let mut values = Vec::new();
                let list = Texts {
                    values: &mut values,
                    in_list: false,
                    lenient,
                };
                map.next_value_seed(list)?;
                if !values.is_empty() {
                    self.headers.push((name, values));
                }
            }
            Ok(())
        }
    }
    // A foreign producer's broken rr_headers must not make the job undeliverable.
    let _ = match std::str::from_utf8(json) {
        // Checks the whole text at once, instead of each string.
        Ok(text) => serde_json::Deserializer::from_str(text).deserialize_map(InOrder {
            headers,
            lenient: false,
        }),
        Err(_) => serde_json::Deserializer::from_slice(json).deserialize_map(InOrder {
            headers,
            lenient: true,
        }),
    };
}

/// Reads a name; in lenient mode, it may have any bytes.
struct Name {
    lenient: bool,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = BString;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<BString, D::Error> {
        match self.lenient {
            true => deserializer.deserialize_bytes(self),
            false => deserializer.deserialize_str(self),
        }
    }
}

impl Visitor<'_> for Name {
    type Value = BString;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<BString, E> {
        Ok(name.into())
    }

    fn visit_string<E: Error>(self, name: String) -> Result<BString, E> {
        Ok(name.into())
    }

    fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<BString, E> {
        Ok(name.into())
    }
}

/// Reads the values of one name as text: a list's values, or a single value; a single null is none.
/// In lenient mode, only strings are read, of any bytes.
struct Texts<'a> {
    values: &'a mut Vec<BString>,
    in_list: bool,
    lenient: bool,
}

impl Texts<'_> {
    fn add(self, json: impl Into<Json>) {
        self.values.push(json.into().to_string().into());
    }

    fn push(self, bytes: &[u8]) {
        // Most headers have one value, for which a growing list would reserve too much.
        self.values.reserve_exact(1);
        self.values.push(bytes.into());
    }
}

impl<'de> DeserializeSeed<'de> for Texts<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.lenient {
            true => deserializer.deserialize_bytes(self),
            false => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Texts<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.push(text.as_bytes());
        Ok(())
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        self.push(bytes);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.in_list {
            self.add(Json::deserialize(SeqAccessDeserializer::new(list))?);
            return Ok(());
        }
        let (values, lenient) = (self.values, self.lenient);
        loop {
            let item = Texts {
                values: &mut *values,
                in_list: true,
                lenient,
            };
            if list.next_element_seed(item)?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        if self.in_list {
            self.add(Json::Null);
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.add(value);
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.add(value);
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.add(value);
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.add(value);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.add(Json::deserialize(MapAccessDeserializer::new(map))?);
        Ok(())
    }
}

/// A job's own headers, and those that replace or extend them.
pub(super) struct Merged<'a> {
    kept: Vec<&'a (BString, Vec<BString>)>,
    changed: &'a Given<'a>,
}

/// `known`, with `changed` replacing and adding headers.
pub(super) fn merged<'a>(known: &'a Headers, changed: &'a Given<'a>) -> Merged<'a> {
    let is_changed = |known: &BString| changed.iter().any(|(new, _)| known == new.as_bytes());
    let kept = known.iter().filter(|(name, _)| !is_changed(name)).collect();
    Merged { kept, changed }
}

impl Merged<'_> {
    /// Whether a property can carry each header completely.
    pub fn are_single(&self) -> bool {
        let mut kept = self.kept.iter();
        kept.all(|(name, values)| {
            values.len() == 1 && (!is_ours(name) || name == ROUTING_KEY_HEADER)
        }) && are_single(self.changed)
    }

    /// name → list of strings, as one JSON object.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = vec![b'{'];
        for (name, values) in &self.kept {
            if name == ROUTING_KEY_HEADER {
                continue;
            }
            quote_bytes(&mut json, name);
            json.push_str(":[");
            listed(&mut json, values, |json, value| quote_bytes(json, value));
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
