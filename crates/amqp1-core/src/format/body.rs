//! A message's body as bytes, whatever section it came in.

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Number, Value as Json};

use super::decimal;
use crate::wire::message::{Body, Message};
use crate::wire::read::{Reader, Value};
use crate::wire::DecodeError;

/// Values nested deeper are not converted.
const MAX_DEPTH: usize = 64;

/// Nor are more values than this in one message.
const MAX_VALUES: usize = 1 << 20;

/// The body and whether it had to be turned into JSON: `data` sections as they
/// are, strings and binaries of an `amqp-value` as they are, other values as JSON.
pub(crate) fn bytes(message: &Message) -> Result<(Bytes, bool), DecodeError> {
    match message.body() {
        Body::Data(range) => Ok((message.slice(range), false)),
        Body::DataMany(ranges) => {
            let mut whole = BytesMut::new();
            for range in ranges {
                whole.extend_from_slice(&message.slice(range));
            }
            Ok((whole.freeze(), false))
        }
        Body::Value(range) => {
            let bytes = message.slice(range);
            match Reader::new(&bytes).value()? {
                Value::Null => Ok((Bytes::new(), false)),
                Value::Binary(content) => Ok((bytes.slice_ref(content), false)),
                Value::Text(text) => Ok((bytes.slice_ref(text.as_bytes()), false)),
                other => Ok((json(other)?.to_string().into(), true)),
            }
        }
        Body::Sequence(ranges) => {
            let (mut lists, mut left) = (Vec::new(), MAX_VALUES);
            for range in ranges {
                let bytes = message.slice(range);
                lists.push(convert(Reader::new(&bytes).value()?, 0, &mut left)?);
            }
            Ok((Json::Array(lists).to_string().into(), true))
        }
    }
}

/// An AMQP value as JSON; what JSON has no word for becomes text.
pub(crate) fn json(value: Value<'_>) -> Result<Json, DecodeError> {
    convert(value, 0, &mut { MAX_VALUES })
}

/// `left` counts down over all values: one byte (a null) becomes thirty-two.
fn convert(value: Value<'_>, depth: usize, left: &mut usize) -> Result<Json, DecodeError> {
    if depth > MAX_DEPTH {
        return Err(DecodeError("values nested too deeply"));
    }
    *left = left
        .checked_sub(1)
        .ok_or(DecodeError("more values than can be converted"))?;
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(value),
        Value::Unsigned(value) => Json::from(value),
        Value::Signed(value) | Value::Timestamp(value) => Json::from(value),
        Value::Float(value) => Number::from_f64(value).map_or(Json::Null, Json::Number),
        Value::List(items) | Value::Array(items) => {
            let items = items.map(|item| convert(item?, depth + 1, left));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Map(mut items) => {
            let mut map = Map::new();
            while let Some((key, value)) = items.entry()? {
                map.insert(name(key)?, convert(value, depth + 1, left)?);
            }
            Json::Object(map)
        }
        Value::Described(_, bytes) => convert(Reader::new(bytes).value()?, depth + 1, left)?,
        other => Json::String(text(other)),
    })
}

/// A map's key. Not a list or map as JSON within JSON: each level would double
/// the backslashes of the one inside.
fn name(key: Value<'_>) -> Result<String, DecodeError> {
    match key {
        Value::List(_) | Value::Map(_) | Value::Array(_) | Value::Described(..) => {
            Err(DecodeError("a map with a key that is not a scalar"))
        }
        scalar => Ok(text(scalar)),
    }
}

/// A scalar as text: what a header or an id of any type reads as.
pub(crate) fn text(value: Value<'_>) -> String {
    match value {
        Value::Text(text) | Value::Symbol(text) => text.to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Unsigned(value) => value.to_string(),
        Value::Signed(value) | Value::Timestamp(value) => value.to_string(),
        Value::Float(value) => float(value),
        Value::Char(value) => value.to_string(),
        Value::Uuid(bytes) => uuid::Uuid::from_bytes(bytes).to_string(),
        Value::Binary(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Decimal(bytes) => decimal::text(bytes),
        Value::Null => String::new(),
        compound => json(compound).map_or_else(|_| String::new(), |json| json.to_string()),
    }
}

/// A double as PHP and JSON write it: `1.5`, `1.0`, `1e+100` as its shortest form.
pub(crate) fn float(value: f64) -> String {
    Number::from_f64(value).map_or_else(|| value.to_string(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::write;

    /// A map that has a map as its key, that has a map as its key, and so on.
    fn keys_in_keys(levels: usize) -> Vec<u8> {
        // From the inside; constructor, size and count of each level come before it.
        let mut heads = Vec::new();
        let mut size = 1;
        for _ in 0..levels {
            let mut head = vec![0xd1];
            head.extend_from_slice(&(size as u32 + 5).to_be_bytes());
            head.extend_from_slice(&2u32.to_be_bytes());
            heads.push(head);
            size += 10;
        }
        let mut bytes: Vec<u8> = heads.into_iter().rev().flatten().collect();
        bytes.resize(bytes.len() + levels + 1, 0x40);
        bytes
    }

    #[test]
    fn keys_within_keys_end_neither_the_stack_nor_the_memory() {
        for levels in [1, 60, 100_000] {
            let bytes = keys_in_keys(levels);
            let value = Reader::new(&bytes).value().unwrap();
            assert!(matches!(value, Value::Map(_)));
            assert_eq!(json(value).is_err(), levels > 1, "{levels}");
            assert_eq!(text(value).is_empty(), levels > 1, "{levels}");
        }
    }

    #[test]
    fn so_many_values_are_not_converted() {
        let mut bytes = Vec::new();
        write::list(&mut bytes, |out| {
            out.resize(out.len() + MAX_VALUES + 1, 0x40);
            MAX_VALUES as u32 + 1
        });
        assert!(json(Reader::new(&bytes).value().unwrap()).is_err());
    }
}
