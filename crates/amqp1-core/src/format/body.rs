//! A message's body as bytes, from any kind of section.

use bstr::BString;
use bytes::{Bytes, BytesMut};
use serde_json::Number;

use super::decimal;
use super::object::quote_bytes;
use super::part::Part;
use crate::wire::message::{Body, Message};
use crate::wire::read::{Reader, Value};
use crate::wire::DecodeError;

/// Values nested deeper than this are not converted.
const MAX_DEPTH: usize = 64;

/// Nor are more values than this in one message.
const MAX_VALUES: usize = 1 << 20;

/// An AMQP value in PHP's types; types that PHP lacks become text.
#[derive(Debug, Clone, PartialEq)]
pub enum Plain {
    /// Null, and a float that is not a number.
    Null,
    /// A boolean.
    Bool(bool),
    /// A 64-bit signed integer.
    Int(i64),
    /// An integer beyond that.
    Unsigned(u64),
    /// A finite float.
    Float(f64),
    /// Text, or binary of any bytes.
    Bytes(BString),
    /// A list or an array.
    List(Vec<Plain>),
    /// A map, in its sender's order.
    Map(Vec<(BString, Plain)>),
}

/// The body, and whether it was converted to JSON: `data` sections stay unchanged, and so do
/// strings and binaries in an `amqp-value`; other values become JSON. Bytes that are not UTF-8 are
/// kept.
pub(crate) fn part(message: &Message) -> Result<(Part, bool), DecodeError> {
    match message.body() {
        Body::Data(range) => return Ok((Part::At(range.clone()), false)),
        Body::DataMany(ranges) => {
            let mut whole = BytesMut::new();
            for range in ranges {
                whole.extend_from_slice(&message.slice(range));
            }
            return Ok((whole.freeze().into(), false));
        }
        Body::Value(range) => {
            let bytes = message.slice(range);
            match Reader::new(&bytes).value()? {
                Value::Null => return Ok((Part::EMPTY, false)),
                value => {
                    if let Some(content) = content(value) {
                        return Ok((Part::of(message, content), false));
                    }
                }
            }
        }
        Body::Sequence(_) => {}
    }
    let mut json = Vec::new();
    if let Some(plain) = plain(message)? {
        write_json(&mut json, &plain);
    }
    Ok((json.into(), true))
}

/// The bytes of [`part`].
pub(crate) fn bytes(message: &Message) -> Result<Bytes, DecodeError> {
    Ok(part(message)?.0.bytes(message))
}

/// The body that [`part`] converts to JSON, as a value: that of an `amqp-value`, or the items of
/// all `amqp-sequence` sections, which form one body (3.2.7). `None` for a body of data.
pub(crate) fn plain(message: &Message) -> Result<Option<Plain>, DecodeError> {
    let mut left = MAX_VALUES;
    match message.body() {
        Body::Data(_) | Body::DataMany(_) => Ok(None),
        Body::Value(range) => {
            let bytes = message.slice(range);
            convert(Reader::new(&bytes).value()?, 0, &mut left).map(Some)
        }
        Body::Sequence(ranges) => {
            let mut all = Vec::new();
            for range in ranges {
                let bytes = message.slice(range);
                match convert(Reader::new(&bytes).value()?, 0, &mut left)? {
                    Plain::List(items) => all.extend(items),
                    _ => return Err(DecodeError("a sequence that is not a list")),
                }
            }
            Ok(Some(Plain::List(all)))
        }
    }
}

/// A single value in PHP's types.
pub(crate) fn plain_of(value: Value<'_>) -> Result<Plain, DecodeError> {
    convert(value, 0, &mut { MAX_VALUES })
}

/// `left` limits the total number of values, because one byte (a null) becomes thirty-two.
fn convert(value: Value<'_>, depth: usize, left: &mut usize) -> Result<Plain, DecodeError> {
    if depth > MAX_DEPTH {
        return Err(DecodeError("values nested too deeply"));
    }
    *left = left
        .checked_sub(1)
        .ok_or(DecodeError("more values than can be converted"))?;
    Ok(match value {
        Value::Null => Plain::Null,
        Value::Bool(value) => Plain::Bool(value),
        Value::Unsigned(value) => i64::try_from(value).map_or(Plain::Unsigned(value), Plain::Int),
        Value::Signed(value) | Value::Timestamp(value) => Plain::Int(value),
        Value::Float(value) if value.is_finite() => Plain::Float(value),
        Value::Float(_) => Plain::Null,
        Value::List(items) | Value::Array(items) => {
            let items = items.map(|item| convert(item?, depth + 1, left));
            Plain::List(items.collect::<Result<_, _>>()?)
        }
        Value::Map(mut items) => {
            let mut map = Vec::new();
            while let Some((key, value)) = items.entry()? {
                map.push((name(key)?, convert(value, depth + 1, left)?));
            }
            Plain::Map(map)
        }
        Value::Described(_, bytes) => convert(Reader::new(bytes).value()?, depth + 1, left)?,
        other => Plain::Bytes(text(other)),
    })
}

/// The bytes of a string or binary. A symbol is a name, not content, and becomes JSON.
fn content(value: Value<'_>) -> Option<&[u8]> {
    match value {
        Value::Symbol(_) => None,
        value => value.as_octets(),
    }
}

/// A map's key. A list or map as a key does not become JSON within JSON, because each level would
/// double the backslashes of the inner one.
fn name(key: Value<'_>) -> Result<BString, DecodeError> {
    match key {
        Value::List(_) | Value::Map(_) | Value::Array(_) | Value::Described(..) => {
            Err(DecodeError("a map with a key that is not a scalar"))
        }
        scalar => Ok(text(scalar)),
    }
}

/// Appends the JSON of a value.
fn write_json(json: &mut Vec<u8>, value: &Plain) {
    match value {
        Plain::Null => json.extend_from_slice(b"null"),
        Plain::Bool(value) => json.extend_from_slice(value.to_string().as_bytes()),
        Plain::Int(value) => json.extend_from_slice(value.to_string().as_bytes()),
        Plain::Unsigned(value) => json.extend_from_slice(value.to_string().as_bytes()),
        Plain::Float(value) => json.extend_from_slice(float(*value).as_bytes()),
        Plain::Bytes(bytes) => quote_bytes(json, bytes),
        Plain::List(items) => {
            json.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    json.push(b',');
                }
                write_json(json, item);
            }
            json.push(b']');
        }
        Plain::Map(entries) => {
            json.push(b'{');
            for (index, (name, value)) in entries.iter().enumerate() {
                if index > 0 {
                    json.push(b',');
                }
                quote_bytes(json, name);
                json.push(b':');
                write_json(json, value);
            }
            json.push(b'}');
        }
    }
}

/// A scalar as text, binary unchanged: for headers and ids of any type.
pub(crate) fn text(value: Value<'_>) -> BString {
    match value {
        Value::Text(text) | Value::Symbol(text) => text.into(),
        Value::IllFormed(bytes) | Value::Binary(bytes) => bytes.into(),
        Value::Bool(value) => value.to_string().into(),
        Value::Unsigned(value) => value.to_string().into(),
        Value::Signed(value) | Value::Timestamp(value) => value.to_string().into(),
        Value::Float(value) => float(value).into(),
        Value::Char(value) => value.to_string().into(),
        Value::Uuid(bytes) => uuid::Uuid::from_bytes(bytes).to_string().into(),
        Value::Decimal(bytes) => decimal::text(bytes).into(),
        Value::Null => BString::default(),
        compound => {
            let mut json = Vec::new();
            if let Ok(plain) = convert(compound, 0, &mut { MAX_VALUES }) {
                write_json(&mut json, &plain);
            }
            json.into()
        }
    }
}

/// A double in the notation of PHP and JSON: `1.5`, `1.0`, `1e+100`, in its shortest form.
pub(crate) fn float(value: f64) -> String {
    Number::from_f64(value).map_or_else(|| value.to_string(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::write;

    /// A map with a map as its key, which has a map as its key, and so on.
    fn keys_in_keys(levels: usize) -> Vec<u8> {
        // From the inside out; constructor, size and count precede each level.
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
            assert_eq!(
                convert(value, 0, &mut { MAX_VALUES }).is_err(),
                levels > 1,
                "{levels}"
            );
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
        let value = Reader::new(&bytes).value().unwrap();
        assert!(convert(value, 0, &mut { MAX_VALUES }).is_err());
    }
}
