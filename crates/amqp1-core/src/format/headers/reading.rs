//! Reads a message's headers.

mod plain;

use std::fmt;

use bytes::Bytes;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

use super::{Header, HeaderPlaces, Headers};
use crate::format::body::text;
use crate::format::names::is_ours;
use crate::format::part::Part;
use crate::wire::message::Message;
use crate::wire::read::{Reader, Value};

/// The headers of a message: those of `rr_headers`, then those that others added as application
/// properties.
pub(crate) fn read(message: &Message, places: &HeaderPlaces) -> Headers {
    let mut headers = Headers::default();
    if let Some(all) = &places.all {
        match Reader::new(message.bytes().get(all.clone()).unwrap_or_default()).value() {
            Ok(Value::Binary(json)) => from_json(message, json, &mut headers),
            Ok(Value::Text(json)) => from_json(message, json.as_bytes(), &mut headers),
            _ => {}
        }
    }
    add_properties(message, places, &mut headers);
    headers
}

/// Adds the application properties that are headers.
pub(crate) fn add_properties(message: &Message, places: &HeaderPlaces, headers: &mut Headers) {
    let mut entries = message.resumed(&places.others);
    while let Ok(Some((name, value))) = entries.named() {
        let Some(name) = name.filter(|name| !name.starts_with(b"rr_")) else {
            continue;
        };
        if headers.has(name, message) || is_ours(name) {
            continue;
        }
        let value = match value.as_octets() {
            Some(bytes) => Part::of(message, bytes),
            None => Vec::from(text(value.value())).into(),
        };
        headers.0.push(Header {
            name: Part::of(message, name),
            first: value,
            others: Vec::new(),
        });
    }
}

/// Reads `rr_headers`. If it is not a map of string lists, reads as much as possible.
pub(crate) fn from_json(message: &Message, json: &[u8], headers: &mut Headers) {
    if plain::read(message, json, headers).is_none() {
        headers.0.clear();
        parse(message, json, headers);
    }
}

fn parse(message: &Message, json: &[u8], headers: &mut Headers) {
    struct InOrder<'a> {
        headers: &'a mut Headers,
        texts: Texts<'a>,
    }
    impl<'de> Visitor<'de> for InOrder<'_> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of lists of strings")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            let texts = self.texts;
            while let Some(name) = map.next_key_seed(Name(texts))? {
                let (mut first, mut others) = (None, Vec::new());
                map.next_value_seed(Values {
                    texts,
                    first: &mut first,
                    others: &mut others,
                    in_list: false,
                })?;
                if let Some(first) = first {
                    self.headers.0.push(Header {
                        name,
                        first,
                        others,
                    });
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
            texts: Texts {
                message,
                lenient: false,
            },
        }),
        Err(_) => serde_json::Deserializer::from_slice(json).deserialize_map(InOrder {
            headers,
            texts: Texts {
                message,
                lenient: true,
            },
        }),
    };
}

/// How texts are read.
#[derive(Clone, Copy)]
struct Texts<'a> {
    /// Its bytes are not copied.
    message: &'a Message,
    /// They may have any bytes.
    lenient: bool,
}

impl Texts<'_> {
    #[inline]
    fn borrowed(self, bytes: &[u8]) -> Part {
        Part::of(self.message, bytes)
    }

    fn unescaped(self, bytes: &[u8]) -> Part {
        Bytes::copy_from_slice(bytes).into()
    }
}

/// Reads a name.
struct Name<'a>(Texts<'a>);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Part;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Part, D::Error> {
        match self.0.lenient {
            true => deserializer.deserialize_bytes(self),
            false => deserializer.deserialize_str(self),
        }
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Part, E> {
        Ok(self.0.borrowed(name.as_bytes()))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Part, E> {
        Ok(self.0.unescaped(name.as_bytes()))
    }

    fn visit_borrowed_bytes<E: Error>(self, name: &'de [u8]) -> Result<Part, E> {
        Ok(self.0.borrowed(name))
    }

    fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<Part, E> {
        Ok(self.0.unescaped(name))
    }
}

/// Reads the values of one name as text: a list's values, or a single value; a single null is none.
/// In lenient mode, only strings are read.
struct Values<'a> {
    texts: Texts<'a>,
    first: &'a mut Option<Part>,
    others: &'a mut Vec<Part>,
    in_list: bool,
}

impl Values<'_> {
    fn add(self, json: impl Into<Json>) {
        self.push(json.into().to_string().into());
    }

    fn push(self, value: Part) {
        match self.first {
            None => *self.first = Some(value),
            Some(_) => self.others.push(value),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.texts.lenient {
            true => deserializer.deserialize_bytes(self),
            false => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<(), E> {
        let value = self.texts.borrowed(text.as_bytes());
        self.push(value);
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let value = self.texts.unescaped(text.as_bytes());
        self.push(value);
        Ok(())
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<(), E> {
        let value = self.texts.borrowed(bytes);
        self.push(value);
        Ok(())
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        let value = self.texts.unescaped(bytes);
        self.push(value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.in_list {
            self.add(Json::deserialize(SeqAccessDeserializer::new(list))?);
            return Ok(());
        }
        let (texts, first, others) = (self.texts, self.first, self.others);
        loop {
            let item = Values {
                texts,
                first: &mut *first,
                others: &mut *others,
                in_list: true,
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::format::headers::HeadersOf;

    fn texts(headers: &Headers, message: &Message) -> String {
        let headers = HeadersOf::new(headers, message);
        let mut all = String::new();
        for (name, values) in headers.iter() {
            all += &format!("{name:?}: {:?}\n", values.iter().collect::<Vec<_>>());
        }
        all
    }

    #[test]
    fn the_short_way_reads_what_the_parser_reads() {
        const TEXTS: [&[u8]; 9] = [
            br#"{"tenant":["a"],"request":["0123","4"],"":[""]}"#,
            b"{\"gr\xc3\xbc\xc3\x9fe\":[\"\xff\"],\"b\":[\"2\"]}",
            br#"{"a":["\u00fc"],"b":["x\"y"],"c":["\\"]}"#,
            br#"{"a":[],"b":["1"]}"#,
            br#"{"a":"1","b":[2]}"#,
            b"{}",
            br#" { "a" : [ "1" ] } "#,
            br#"{"a":["1"],}"#,
            br#"{"a":["1"]"#,
        ];
        let message = Message::empty();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as usize
        };
        let (mut short, mut long) = (0, 0);
        for round in 0..30_000 {
            let mut json = TEXTS[round % TEXTS.len()].to_vec();
            for _ in 0..round / TEXTS.len() % 3 {
                let at = next() % json.len();
                json[at] = b"\"\\,:[]{}a\x01\xff "[next() % 12];
            }
            let (mut plainly, mut parsed) = (Headers::default(), Headers::default());
            parse(&message, &json, &mut parsed);
            match plain::read(&message, &json, &mut plainly) {
                Some(()) => {
                    let (plainly, parsed) = (texts(&plainly, &message), texts(&parsed, &message));
                    assert_eq!(plainly, parsed, "{}", json.escape_ascii());
                    short += 1;
                }
                None => long += 1,
            }
        }
        assert!(short > 1000 && long > 1000, "{short} {long}");
    }
}
