//! JSON text to [`Input`]: keeps the file's order, and refuses duplicate keys.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, Result};
use crate::settings::input::Input;

/// Parses one JSON value. `serde_json` limits the depth.
///
/// # Errors
/// [`crate::ErrorKind::Config`] with line and column; never with the text itself.
pub(super) fn parse(text: &str) -> Result<Input> {
    serde_json::from_str(text)
        .map(|Json(input)| input)
        .map_err(|error| Error::config(error.to_string()))
}

struct Json(Input);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor).map(Json)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Input;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Input, E> {
        Ok(Input::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Input, E> {
        Ok(Input::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Input, E> {
        Ok(Input::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Input, E> {
        Ok(i64::try_from(value).map_or(Input::Float(value as f64), Input::Int))
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Input, E> {
        Ok(Input::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Input, E> {
        Ok(Input::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Input, A::Error> {
        let mut items = Vec::new();
        while let Some(Json(item)) = list.next_element()? {
            items.push(item);
        }
        Ok(Input::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Input, A::Error> {
        let (mut entries, mut names) = (Vec::new(), HashSet::new());
        while let Some((name, Json(value))) = map.next_entry::<String, _>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format!("duplicate key '{name}'")));
            }
            entries.push((name, value));
        }
        Ok(Input::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_type_in_order() {
        let input = parse(
            r#"{"z": [1, -2.5, true, null], "a": "\ud83d\ude00", "big": 18446744073709551615}"#,
        );
        let expected = [
            (
                "z",
                Input::List(vec![
                    Input::Int(1),
                    Input::Float(-2.5),
                    Input::Bool(true),
                    Input::Null,
                ]),
            ),
            ("a", Input::Text("😀".to_owned())),
            ("big", Input::Float(18_446_744_073_709_551_615.0)),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        assert_eq!(input.unwrap(), Input::Map(expected.to_vec()));
    }

    #[test]
    fn what_is_wrong_is_located_and_not_repeated() {
        for text in [
            r#"{"addr": "s3cret", }"#,
            r#"{"addr": "s3cret""#,
            r#"{"addr": s3cret}"#,
            r#"{"addr": "s3cret", "addr": "s3cret"}"#,
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message().contains("line 1"), "{error}");
            assert!(!error.message().contains("s3cret"), "{error}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
