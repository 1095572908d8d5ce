//! Checks before the library that decodes performatives sees them.
//!
//! The library handles every frame that a broker has reason to send. A hostile frame could overflow
//! its stack or its counters.

use super::read::{Reader, Value};
use super::DecodeError;

/// The deepest accepted nesting of values that are decoded recursively.
const MAX_NESTING: usize = 24;

/// Checks that the bytes begin with a described list, as every performative does (2.7). Inside it,
/// nesting must stay within what brokers need, every key in a map must have a value, and no
/// descriptor may be followed by another.
///
/// # Errors
/// [`DecodeError`] otherwise, and if a value is malformed.
pub fn check_performative(bytes: &[u8]) -> Result<(), DecodeError> {
    let Value::Described(_, list) = Reader::new(bytes).value()? else {
        return Err(DecodeError("a frame whose body is not a performative"));
    };
    match Reader::new(list).value()? {
        list @ Value::List(_) => visit(list, 0),
        _ => Err(DecodeError("a performative that is not a list")),
    }
}

/// Replaces each byte of a text that is not UTF-8 with `?`, because the library would refuse the
/// whole frame. RabbitMQ 4.3 closes a connection with a description that contains bytes of the
/// message, and that reason must still be reported.
pub fn mend(performative: &mut [u8]) {
    let mut wrong = Vec::new();
    {
        let begin = performative.as_ptr() as usize;
        let mut values = vec![Reader::new(performative).value().ok()];
        while let Some(value) = values.pop() {
            match value {
                Some(Value::IllFormed(bytes)) => {
                    let mut at = bytes.as_ptr() as usize - begin;
                    for chunk in bytes.utf8_chunks() {
                        at += chunk.valid().len();
                        wrong.push(at..at + chunk.invalid().len());
                        at += chunk.invalid().len();
                    }
                }
                Some(Value::Described(_, inner)) => values.push(Reader::new(inner).value().ok()),
                Some(Value::List(items) | Value::Map(items) | Value::Array(items)) => {
                    values.extend(items.map(Result::ok));
                }
                _ => {}
            }
        }
    }
    for range in wrong {
        performative[range].fill(b'?');
    }
}

fn visit(value: Value<'_>, depth: usize) -> Result<(), DecodeError> {
    if depth > MAX_NESTING {
        return Err(DecodeError("values nested too deeply"));
    }
    match value {
        Value::Map(items) if items.count() % 2 != 0 => {
            Err(DecodeError("a map with a key that has no value"))
        }
        Value::List(items) | Value::Map(items) | Value::Array(items) => {
            for item in items {
                visit(item?, depth + 1)?;
            }
            Ok(())
        }
        Value::Described(_, inner) => match Reader::new(inner).value()? {
            Value::Described(..) => Err(DecodeError("a description of a description")),
            inner => visit(inner, depth + 1),
        },
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{check_performative, mend};

    #[test]
    fn text_that_is_not_utf8_is_mended_and_nothing_else() {
        let mut close =
            b"\x00\x53\x18\xc0\x13\x01\x00\x53\x1d\xc0\x0d\x02\xa3\x02a:\xa1\x06x\xff\xfe\xc3\xbcy"
                .to_vec();
        let before = close.clone();
        mend(&mut close);
        assert_eq!(close[..before.len() - 6], before[..before.len() - 6]);
        assert_eq!(&close[before.len() - 6..], "x??üy".as_bytes());
        let mended = close.clone();
        mend(&mut close);
        assert_eq!(close, mended);
    }

    #[test]
    fn performatives_are_described_lists() {
        let close = [0x00, 0x53, 0x18, 0x45];
        assert!(check_performative(&close).is_ok());
        let not_described = [
            0x53, 0x10, 0x00, 0xd0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff,
        ];
        assert!(check_performative(&not_described).is_err());
        let twice = [0x00, 0x53, 0x18, 0x00, 0x53, 0x18, 0x45];
        assert!(check_performative(&twice).is_err());
        let a_map = [0x00, 0x53, 0x18, 0xc1, 1, 0];
        assert!(check_performative(&a_map).is_err());
    }

    #[test]
    fn a_map_with_a_key_alone_is_refused() {
        let bytes = [0x00, 0x53, 0x10, 0xc0, 5, 1, 0xc1, 2, 1, 0x40];
        assert!(check_performative(&bytes).is_err());
    }

    #[test]
    fn an_empty_array_has_nothing_behind_it() {
        let array = [
            0x00, 0x53, 0x10, 0xc0, 9, 1, 0xe0, 6, 0, 0xb3, 0x4e, 0x41, 0x0f, 0x4f,
        ];
        assert!(check_performative(&array).is_err());
        let empty = [0x00, 0x53, 0x10, 0xc0, 5, 1, 0xe0, 2, 0, 0xb3];
        assert!(check_performative(&empty).is_ok());
    }
}
