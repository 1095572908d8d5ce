//! What a request says: its body, a map with text keys, and its query.

use serde_amqp::{primitives::OrderedMap, Value};

use super::answer::Answer;
use crate::rabbitmq::model::address::segment;
use crate::rabbitmq::model::arguments::{text, Arguments};

#[derive(Debug)]
pub(super) struct Map(Arguments);

impl Map {
    /// Status 400 for anything but a map with text keys.
    pub(super) fn new(body: Value) -> Result<Self, Answer> {
        match body {
            Value::Map(map) => map
                .into_iter()
                .map(|(key, value)| text(&key).map(|key| (key, value)))
                .collect::<Result<_, _>>()
                .map(Self)
                .map_err(|e| Answer::error(400, format!("a key of the body is {e}"))),
            _ => Err(Answer::error(400, "the body is not a map")),
        }
    }

    /// Status 400 if there is any other key.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Answer> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(Answer::error(400, format!("unknown key '{key}'"))),
            None => Ok(()),
        }
    }

    /// A flag; `default` if absent or null.
    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool, Answer> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(Answer::error(400, format!("'{key}' is not a boolean"))),
        }
    }

    /// A text; `None` if absent or null.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Answer> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => text(value)
                .map(Some)
                .map_err(|e| Answer::error(400, format!("'{key}' is {e}"))),
        }
    }

    /// The map under `arguments`; empty if absent or null.
    pub(super) fn arguments(&self) -> Result<Arguments, Answer> {
        match self.0.get("arguments") {
            None | Some(Value::Null) => Ok(Arguments::new()),
            Some(value) => Self::new(value.clone()).map(|map| map.0),
        }
    }
}

/// A map with string keys, for an answer.
pub(super) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(
        entries
            .into_iter()
            .map(|(key, value)| (Value::from(key), value))
            .collect(),
    )
}

/// Arguments, for an answer.
pub(super) fn arguments(arguments: &Arguments) -> Value {
    Value::Map(
        arguments
            .iter()
            .map(|(key, value)| (Value::String(key.clone()), value.clone()))
            .collect(),
    )
}

/// The fields of a query.
pub(super) type Fields = OrderedMap<String, String>;

/// `name=percent-encoded value` pairs, separated by `separator`.
pub(super) fn fields(encoded: &str, separator: char) -> Result<Fields, Answer> {
    encoded
        .split(separator)
        .filter(|field| !field.is_empty())
        .map(|field| {
            let (name, value) = field
                .split_once('=')
                .ok_or_else(|| Answer::error(400, format!("'{field}' is not NAME=VALUE")))?;
            let value = segment(value).map_err(|e| Answer::error(400, e))?;
            Ok((name.to_owned(), value))
        })
        .collect()
}

/// Status 400 if it is missing.
pub(super) fn needed<'a>(fields: &'a Fields, name: &str) -> Result<&'a String, Answer> {
    fields
        .get(name)
        .ok_or_else(|| Answer::error(400, format!("'{name}' is missing")))
}
