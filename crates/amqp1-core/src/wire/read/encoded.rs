//! A value that is checked, and decoded when it is asked for.

use super::{Items, Reader, Value, SHORT};
use crate::wire::DecodeError;

/// The bytes of a value, with its constructor: a value that [`Reader::value`] accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Encoded<'a>(&'a [u8]);

impl<'a> Encoded<'a> {
    /// The value.
    #[inline]
    #[must_use]
    pub fn value(self) -> Value<'a> {
        // It was checked, so this cannot fail.
        Reader::new(self.0).value().unwrap_or(Value::Null)
    }

    /// The value's bytes, with its constructor.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether it is null.
    #[inline]
    #[must_use]
    pub fn is_null(self) -> bool {
        self.0 == [0x40]
    }

    /// The bytes of a string or symbol.
    #[inline]
    #[must_use]
    pub fn as_name(self) -> Option<&'a [u8]> {
        match self.0 {
            [0xa1 | 0xa3, _, content @ ..] | [0xb1 | 0xb3, _, _, _, _, content @ ..] => {
                Some(content)
            }
            _ => None,
        }
    }

    /// The bytes of a string, symbol or binary.
    #[inline]
    #[must_use]
    pub fn as_octets(self) -> Option<&'a [u8]> {
        match self.0 {
            [0xa0, _, content @ ..] | [0xb0, _, _, _, _, content @ ..] => Some(content),
            _ => self.as_name(),
        }
    }

    /// Any integer, if it fits.
    #[inline]
    #[must_use]
    pub fn as_int(self) -> Option<i64> {
        match self.0 {
            [0x40] => None,
            [0x54 | 0x55, number] => Some(i64::from(*number as i8)),
            [0x81 | 0x83, number @ ..] => number.try_into().ok().map(i64::from_be_bytes),
            _ => self.value().as_int(),
        }
    }

    /// Any non-negative integer.
    #[inline]
    #[must_use]
    pub fn as_uint(self) -> Option<u64> {
        match self.0 {
            [0x40] => None,
            [0x43] => Some(0),
            [0x50 | 0x52, number] => Some(u64::from(*number)),
            _ => self.value().as_uint(),
        }
    }

    /// Whether it is the boolean true.
    #[inline]
    #[must_use]
    pub fn is_true(self) -> bool {
        match self.0 {
            [0x41] => true,
            [0x56, value] => *value != 0,
            _ => false,
        }
    }
}

/// In [`SIZES`]: a length of one byte follows.
const SHORT_LENGTH: u8 = 0x80;
/// In [`SIZES`]: anything else.
const OTHER: u8 = 0xff;

/// The size of a value by its constructor (1.6), with the constructor.
static SIZES: [u8; 256] = {
    let mut sizes = [OTHER; 256];
    let mut code = 0;
    while code < sizes.len() {
        sizes[code] = match code {
            0x40..=0x45 => 1,
            0x50..=0x56 => 2,
            0x60 | 0x61 => 3,
            0x70..=0x72 | 0x74 => 5,
            0x80..=0x84 => 9,
            0xa0 | 0xa1 | 0xa3 => SHORT_LENGTH,
            _ => OTHER,
        };
        code += 1;
    }
    sizes
};

impl<'a> Reader<'a> {
    /// Checks the next value and passes it, without decoding it: accepts what [`Reader::value`]
    /// accepts.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not a value.
    #[inline(always)]
    pub fn encoded(&mut self) -> Result<Encoded<'a>, DecodeError> {
        let Some(code) = self.bytes.first() else {
            return Err(SHORT);
        };
        let size = match SIZES[usize::from(*code)] {
            SHORT_LENGTH => match self.bytes.get(1) {
                Some(length) => 2 + usize::from(*length),
                None => return Err(SHORT),
            },
            OTHER => return self.other_encoded(*code),
            size => usize::from(size),
        };
        let Some((value, rest)) = self.bytes.split_at_checked(size) else {
            return Err(SHORT);
        };
        self.bytes = rest;
        Ok(Encoded(value))
    }

    fn other_encoded(&mut self, code: u8) -> Result<Encoded<'a>, DecodeError> {
        let before = self.bytes;
        self.bytes = &before[1..];
        match code {
            0xb0 | 0xb1 | 0xb3 => {
                let length = self.length(true)?;
                self.take(length)?;
            }
            0xc0 | 0xc1 | 0xd0 | 0xd1 => {
                self.compound(code >= 0xd0)?;
            }
            _ => {
                self.value_of(code)?;
            }
        }
        Ok(Encoded(&before[..before.len() - self.bytes.len()]))
    }

    /// The items of the next value, if it is a list.
    pub(in crate::wire) fn list(&mut self) -> Option<Result<Items<'a>, DecodeError>> {
        self.items([0xc0, 0xd0])
    }

    /// The entries of the next value, if it is a map.
    pub(in crate::wire) fn map(&mut self) -> Option<Result<Items<'a>, DecodeError>> {
        self.items([0xc1, 0xd1])
    }

    #[inline]
    fn items(&mut self, codes: [u8; 2]) -> Option<Result<Items<'a>, DecodeError>> {
        let (code, rest) = self.bytes.split_first()?;
        if !codes.contains(code) {
            return None;
        }
        self.bytes = rest;
        Some(self.compound(*code == codes[1]))
    }
}

impl<'a> Items<'a> {
    /// The next item of a list or map, undecoded.
    ///
    /// # Errors
    /// [`DecodeError`] for an array, whose items have no constructor of their own, and for
    /// malformed content.
    #[inline]
    pub fn next_encoded(&mut self) -> Option<Result<Encoded<'a>, DecodeError>> {
        if self.count == 0 {
            return None;
        }
        self.count -= 1;
        let mut reader = Reader::new(self.bytes);
        let item = match self.constructor {
            Some(_) => Err(DecodeError("items of an array have no bytes of their own")),
            None => reader.encoded(),
        };
        self.bytes = reader.rest();
        if item.is_err() {
            self.count = 0;
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Accepted and refused alike, with the same value and the same rest.
    fn same(bytes: &[u8]) -> bool {
        let (mut decoding, mut passing) = (Reader::new(bytes), Reader::new(bytes));
        let (value, encoded) = (decoding.value(), passing.encoded());
        // Compared as text, because a double may be NaN.
        let passed = encoded.map(Encoded::value);
        assert_eq!(format!("{passed:?}"), format!("{value:?}"), "{bytes:?}");
        let (Ok(value), Ok(encoded)) = (value, encoded) else {
            return false;
        };
        assert_eq!(decoding.rest(), passing.rest(), "{bytes:?}");
        assert_eq!(encoded.as_name(), value.as_name(), "{bytes:?}");
        assert_eq!(encoded.as_octets(), value.as_octets(), "{bytes:?}");
        assert_eq!(encoded.as_int(), value.as_int(), "{bytes:?}");
        assert_eq!(encoded.as_uint(), value.as_uint(), "{bytes:?}");
        assert_eq!(encoded.is_null(), value == Value::Null, "{bytes:?}");
        assert_eq!(encoded.is_true(), value == Value::Bool(true), "{bytes:?}");
        true
    }

    #[test]
    fn passing_a_value_accepts_what_decoding_it_accepts() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as u8
        };
        let (mut good, mut bad) = (0, 0);
        for code in 0..=u8::MAX {
            for length in 0..300 {
                let mut bytes = vec![code];
                // Small numbers, because most random sizes exceed the bytes.
                bytes.extend((0..length).map(|_| next() % if length % 2 == 0 { 3 } else { 120 }));
                match same(&bytes) {
                    true => good += 1,
                    false => bad += 1,
                }
            }
        }
        assert!(good > 1000 && bad > 1000, "{good} {bad}");
    }
}
