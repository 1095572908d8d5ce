//! A JSON object split at its first level: keys in order, values as their original text, so that
//! unchanged parts stay exactly as they were.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::Value as Json;

/// The keys and values of a JSON object.
#[derive(Debug, Clone)]
pub(crate) struct Object<'a> {
    /// The values are JSON.
    entries: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Object<'a> {
    /// The object in these bytes; `None` if they are anything else.
    pub fn parse(json: &'a [u8]) -> Option<Self> {
        if !Self::is_likely(json) {
            return None;
        }
        serde_json::from_slice(json).ok()
    }

    /// Whether it begins like an object.
    pub fn is_likely(json: &[u8]) -> bool {
        json.trim_ascii_start().first() == Some(&b'{')
    }

    /// The original text of a key's value: the last one if it is repeated, as in PHP and Go.
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut entries = self.entries.iter().rev();
        let found = entries.find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_ref())
    }

    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// A key's value, if it is a string.
    pub fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        self.get(key).and_then(text)
    }

    /// A key's value, if it is written as an integer.
    pub fn integer(&self, key: &str) -> Option<i64> {
        self.get(key).and_then(|raw| raw.parse().ok())
    }

    /// A key's value, if it is an object.
    pub fn object(&self, key: &str) -> Option<Object<'_>> {
        self.get(key).and_then(|raw| Object::parse(raw.as_bytes()))
    }

    /// Replaces a key's value in place, or adds it at the end.
    pub fn set(&mut self, key: &'static str, json: String) {
        let at = self.entries.iter().rposition(|(known, _)| known == key);
        match at {
            Some(at) => self.entries[at].1 = Cow::Owned(json),
            None => self.entries.push((Cow::Borrowed(key), Cow::Owned(json))),
        }
    }

    pub fn remove(&mut self, key: &str) {
        self.entries.retain(|(known, _)| known != key);
    }

    /// The object as JSON.
    pub fn to_json(&self) -> String {
        let length: usize = self
            .entries
            .iter()
            .map(|(k, v)| k.len() + v.len() + 4)
            .sum();
        let mut json = String::with_capacity(length + 2);
        json.push('{');
        for (key, value) in &self.entries {
            if json.len() > 1 {
                json.push(',');
            }
            json.push_str(&quoted(key));
            json.push(':');
            json.push_str(value);
        }
        json.push('}');
        json
    }
}

/// A string as JSON, with as little escaping as possible.
pub(crate) fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

/// The string in a JSON text; borrowed if nothing in it is escaped.
pub(crate) fn text(json: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(json)
        .ok()
        .map(|Text(text)| text)
}

/// A string that is borrowed if possible, which `Cow` alone does not do.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> Visitor<'de> for Of {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Of)
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> Visitor<'de> for Of {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Text(key), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    entries.push((key, Cow::Borrowed(value.get())));
                }
                Ok(Object { entries })
            }
        }
        deserializer.deserialize_map(Of)
    }
}

/// Appends bytes as a JSON string. Bytes that are not UTF-8 are kept: then only lenient readers
/// accept the JSON, but different bytes stay different.
pub(super) fn quote_bytes(json: &mut Vec<u8>, bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return quote(json, text);
    }
    json.push(b'"');
    for byte in bytes {
        match byte {
            b'"' | b'\\' => json.extend_from_slice(&[b'\\', *byte]),
            0..0x20 => json.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => json.push(*byte),
        }
    }
    json.push(b'"');
}

/// Whether a JSON string escapes any of these bytes. Looks at eight at a time: most texts are short,
/// and none of their bytes is escaped.
pub(super) fn is_escaped(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    let any = |word: u64| {
        // A byte's highest bit is set if the byte is below `limit`; above the lowest such byte, bits
        // may be wrong, but not if there is none.
        let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
        let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        (below(word, 0x20) | equal(b'"') | equal(b'\\')) & (ONES << 7) != 0
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let spaces = ONES * u64::from(b' ');
    let rest = rest
        .iter()
        .fold(spaces, |word, byte| word << 8 | u64::from(*byte));
    any(rest) || words.iter().any(|word| any(u64::from_ne_bytes(*word)))
}

/// A text as a JSON string.
pub(super) fn quote(json: &mut Vec<u8>, text: &str) {
    if is_escaped(text.as_bytes()) {
        // Writing to memory cannot fail.
        let _ = serde_json::to_writer(json, text);
        return;
    }
    json.reserve(text.len() + 2);
    json.push(b'"');
    json.extend_from_slice(text.as_bytes());
    json.push(b'"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_not_changed_stays_as_it_was_written() {
        let json = br#" {"a" : 1.50, "b\n":{"x": [1, 2]} ,"a/b":"\u00fc\/"} "#;
        let mut object = Object::parse(json).unwrap();
        object.set("a", "2".to_owned());
        object.set("new", quoted("ü/\n"));
        let same = r#"{"a":2,"b\n":{"x": [1, 2]},"a/b":"\u00fc\/","new":"ü/\n"}"#;
        assert_eq!(object.to_json(), same);
        object.remove("a");
        assert!(!object.has("a"));
        assert_eq!(object.text("a/b").unwrap(), "ü/");
    }

    #[test]
    fn anything_but_an_object_is_none() {
        for json in ["", "[]", "1", "\"{}\"", "{", "{} x", "{\"a\":}", "null"] {
            assert!(Object::parse(json.as_bytes()).is_none(), "{json}");
        }
        assert!(Object::parse(b"{\"a\":\"\xff\"}").is_none());
        assert!(Object::parse("{\"a\":[".repeat(100_000).as_bytes()).is_none());
    }

    #[test]
    fn every_byte_that_json_escapes_is_found_wherever_it_is() {
        for byte in 0..=u8::MAX {
            let is_one = byte < 0x20 || byte == b'"' || byte == b'\\';
            for length in 1..20 {
                for at in 0..length {
                    let mut bytes = vec![[b'!', 0xff, b'~'][length % 3]; length];
                    bytes[at] = byte;
                    assert_eq!(is_escaped(&bytes), is_one, "{bytes:?}");
                }
            }
        }
        assert!(!is_escaped(b""));
    }

    #[test]
    fn only_integers_are_integers() {
        let json = br#"{"i":1,"f":1.0,"e":1e0,"s":"1","n":-1,"big":99999999999999999999}"#;
        let object = Object::parse(json).unwrap();
        assert_eq!(object.integer("i"), Some(1));
        assert_eq!(object.integer("n"), Some(-1));
        for key in ["f", "e", "s", "big", "none"] {
            assert_eq!(object.integer(key), None, "{key}");
        }
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        assert_eq!(
            Object::parse(br#"{"a":1,"a":2}"#).unwrap().integer("a"),
            Some(2)
        );
    }
}
