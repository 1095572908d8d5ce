//! Decodes AMQP values (AMQP 1.0 part 1, section 1.6) without copying them.

mod encoded;
mod named;

pub use self::encoded::Encoded;
pub use self::named::Named;
use super::DecodeError;

/// A value that borrows from the original bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `boolean`
    Bool(bool),
    /// `ubyte`, `ushort`, `uint`, `ulong`
    Unsigned(u64),
    /// `byte`, `short`, `int`, `long`
    Signed(i64),
    /// `float`, `double`
    Float(f64),
    /// `char`
    Char(char),
    /// `timestamp`, milliseconds since the Unix epoch
    Timestamp(i64),
    /// `uuid`
    Uuid([u8; 16]),
    /// `binary`
    Binary(&'a [u8]),
    /// `string`
    Text(&'a str),
    /// `symbol`
    Symbol(&'a str),
    /// A `string` or `symbol` whose bytes are not UTF-8. RabbitMQ sends the text fields of a 0-9-1
    /// message as strings, whatever their bytes.
    IllFormed(&'a [u8]),
    /// `list`
    List(Items<'a>),
    /// `map`: alternating keys and values
    Map(Items<'a>),
    /// `array`
    Array(Items<'a>),
    /// A described value: its descriptor's code (or 0), and the value's bytes
    Described(u64, &'a [u8]),
    /// `decimal32`, `decimal64`, `decimal128`, as bytes
    Decimal(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The text of a string or symbol.
    #[must_use]
    pub fn as_text(&self) -> Option<&'a str> {
        match self {
            Value::Text(text) | Value::Symbol(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes of a string or symbol.
    #[must_use]
    pub fn as_name(&self) -> Option<&'a [u8]> {
        match self {
            Value::Text(text) | Value::Symbol(text) => Some(text.as_bytes()),
            Value::IllFormed(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The bytes of a string, symbol or binary.
    #[must_use]
    pub fn as_octets(&self) -> Option<&'a [u8]> {
        match self {
            Value::Binary(bytes) => Some(bytes),
            text => text.as_name(),
        }
    }

    /// Any integer, if it fits.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Unsigned(value) => i64::try_from(*value).ok(),
            Value::Signed(value) | Value::Timestamp(value) => Some(*value),
            _ => None,
        }
    }

    /// Any non-negative integer.
    #[must_use]
    pub fn as_uint(&self) -> Option<u64> {
        match self {
            Value::Unsigned(value) => Some(*value),
            _ => self.as_int().and_then(|value| u64::try_from(value).ok()),
        }
    }
}

/// The items of a list, map or array, decoded one at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Items<'a> {
    bytes: &'a [u8],
    count: u32,
    /// The shared constructor of an array's items.
    constructor: Option<u8>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Value<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.count == 0 {
            return None;
        }
        self.count -= 1;
        let mut reader = Reader::new(self.bytes);
        let value = match self.constructor {
            Some(code) => reader.value_of(code),
            None => reader.value(),
        };
        self.bytes = reader.rest();
        if value.is_err() {
            self.count = 0;
        }
        Some(value)
    }
}

impl<'a> Items<'a> {
    /// The bytes and the number of the items of a list or map that are left.
    pub(super) fn rest(&self) -> (&'a [u8], u32) {
        (self.bytes, self.count)
    }

    /// Goes on with [`Items::rest`].
    pub(super) fn resumed(bytes: &'a [u8], count: u32) -> Self {
        Self {
            bytes,
            count,
            constructor: None,
        }
    }

    /// The number of items left; a map counts keys and values.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The next key and value of a map; `None` at its end.
    ///
    /// # Errors
    /// [`DecodeError`] if the content is malformed or has an odd number of items.
    #[inline]
    pub fn entry(&mut self) -> Result<Option<(Value<'a>, Value<'a>)>, DecodeError> {
        let Some(key) = self.next() else {
            return Ok(None);
        };
        match self.next() {
            Some(value) => Ok(Some((key?, value?))),
            None => Err(DecodeError("a map with a key without a value")),
        }
    }
}

/// The most items of an array whose items occupy no bytes (null, true, false, zero, empty list).
/// Only in such an array can the count exceed the bytes that carry it.
const MAX_EMPTY_ITEMS: u32 = 64;

/// Reads values from the front of a slice.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

const SHORT: DecodeError = DecodeError("it ends too soon");

impl<'a> Reader<'a> {
    /// A reader at the front of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The bytes not yet read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (front, rest) = self.bytes.split_at_checked(length).ok_or(SHORT)?;
        self.bytes = rest;
        Ok(front)
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (front, rest) = self.bytes.split_first_chunk().ok_or(SHORT)?;
        self.bytes = rest;
        Ok(*front)
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, DecodeError> {
        let (front, rest) = self.bytes.split_first().ok_or(SHORT)?;
        self.bytes = rest;
        Ok(*front)
    }

    #[inline]
    fn length(&mut self, wide: bool) -> Result<usize, DecodeError> {
        Ok(if wide {
            u32::from_be_bytes(self.fixed()?) as usize
        } else {
            self.byte()? as usize
        })
    }

    /// Reads the next value.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not a value.
    #[inline]
    pub fn value(&mut self) -> Result<Value<'a>, DecodeError> {
        // The most common values in a job, without a function call.
        match self.bytes {
            [0xa1, length, rest @ ..] => {
                let (bytes, rest) = rest.split_at_checked(usize::from(*length)).ok_or(SHORT)?;
                self.bytes = rest;
                Ok(text(bytes, Value::Text))
            }
            [0x40, rest @ ..] => {
                self.bytes = rest;
                Ok(Value::Null)
            }
            [code, rest @ ..] => {
                self.bytes = rest;
                self.value_of(*code)
            }
            [] => Err(SHORT),
        }
    }

    /// Reads the code of the next value's descriptor; the value itself follows.
    ///
    /// # Errors
    /// [`DecodeError`] if the next value is not described.
    #[inline]
    pub fn descriptor(&mut self) -> Result<u64, DecodeError> {
        // As every peer writes the common ones.
        if let [0x00, 0x53, code, rest @ ..] = self.bytes {
            self.bytes = rest;
            return Ok(u64::from(*code));
        }
        if self.byte()? != 0 {
            return Err(DecodeError("a described type was expected"));
        }
        self.descriptor_code()
    }

    #[inline]
    fn descriptor_code(&mut self) -> Result<u64, DecodeError> {
        match self.byte()? {
            0x53 => Ok(u64::from(self.byte()?)),
            0x80 => Ok(u64::from_be_bytes(self.fixed()?)),
            0x44 => Ok(0),
            code @ (0xa3 | 0xb3) => {
                let length = self.length(code == 0xb3)?;
                Ok(symbolic_descriptor(self.take(length)?))
            }
            _ => Err(DecodeError("a descriptor that is neither ulong nor symbol")),
        }
    }

    /// Skips the next value and returns its bytes, with the constructor.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not a value.
    #[inline]
    pub fn skip(&mut self) -> Result<&'a [u8], DecodeError> {
        match self.bytes {
            [0, ..] => self.skip_described(),
            _ => self.encoded().map(Encoded::bytes),
        }
    }

    fn skip_described(&mut self) -> Result<&'a [u8], DecodeError> {
        let before = self.bytes;
        // A loop instead of recursion, because a described value may contain a described value.
        let mut described = 0;
        loop {
            let [0, rest @ ..] = self.bytes else {
                self.encoded()?;
                break;
            };
            self.bytes = rest;
            self.descriptor_code()?;
            described += 1;
            if described > 8 {
                return Err(DecodeError("too many nested descriptors"));
            }
        }
        Ok(&before[..before.len() - self.bytes.len()])
    }

    fn value_of(&mut self, code: u8) -> Result<Value<'a>, DecodeError> {
        Ok(match code {
            0x00 => {
                let descriptor = self.descriptor_code()?;
                Value::Described(descriptor, self.skip()?)
            }
            0x40 => Value::Null,
            0x41 => Value::Bool(true),
            0x42 => Value::Bool(false),
            0x43 | 0x44 => Value::Unsigned(0),
            0x45 => Value::List(Items {
                bytes: &[],
                count: 0,
                constructor: None,
            }),
            0x50 | 0x52 | 0x53 => Value::Unsigned(u64::from(self.byte()?)),
            0x51 | 0x54 | 0x55 => Value::Signed(i64::from(self.byte()? as i8)),
            0x56 => Value::Bool(self.byte()? != 0),
            0x60 => Value::Unsigned(u64::from(u16::from_be_bytes(self.fixed()?))),
            0x61 => Value::Signed(i64::from(i16::from_be_bytes(self.fixed()?))),
            0x70 => Value::Unsigned(u64::from(u32::from_be_bytes(self.fixed()?))),
            0x71 => Value::Signed(i64::from(i32::from_be_bytes(self.fixed()?))),
            0x72 => Value::Float(f64::from(f32::from_be_bytes(self.fixed()?))),
            0x73 => Value::Char(
                char::from_u32(u32::from_be_bytes(self.fixed()?))
                    .ok_or(DecodeError("a char that is not Unicode"))?,
            ),
            0x74 => Value::Decimal(self.take(4)?),
            0x80 => Value::Unsigned(u64::from_be_bytes(self.fixed()?)),
            0x81 => Value::Signed(i64::from_be_bytes(self.fixed()?)),
            0x82 => Value::Float(f64::from_be_bytes(self.fixed()?)),
            0x83 => Value::Timestamp(i64::from_be_bytes(self.fixed()?)),
            0x84 => Value::Decimal(self.take(8)?),
            0x94 => Value::Decimal(self.take(16)?),
            0x98 => Value::Uuid(self.fixed()?),
            0xa0 | 0xb0 | 0xa1 | 0xb1 | 0xa3 | 0xb3 => {
                let length = self.length(code >= 0xb0)?;
                let bytes = self.take(length)?;
                match code & 0x0f {
                    0 => Value::Binary(bytes),
                    1 => text(bytes, Value::Text),
                    _ => text(bytes, Value::Symbol),
                }
            }
            0xc0 | 0xd0 => Value::List(self.compound(code == 0xd0)?),
            0xc1 | 0xd1 => Value::Map(self.compound(code == 0xd1)?),
            0xe0 | 0xf0 => Value::Array(self.array(code == 0xf0)?),
            _ => return Err(DecodeError("an unknown constructor")),
        })
    }

    #[inline]
    fn compound(&mut self, wide: bool) -> Result<Items<'a>, DecodeError> {
        let size = self.length(wide)?;
        let mut inner = Reader::new(self.take(size)?);
        let count = inner.length(wide)? as u32;
        // Every item occupies at least one byte, so a higher count is invalid.
        if count as usize > inner.bytes.len() {
            return Err(DecodeError("a count beyond its size"));
        }
        Ok(Items {
            bytes: inner.bytes,
            count,
            constructor: None,
        })
    }

    fn array(&mut self, wide: bool) -> Result<Items<'a>, DecodeError> {
        let size = self.length(wide)?;
        let mut inner = Reader::new(self.take(size)?);
        let count = inner.length(wide)? as u32;
        if count == 0 {
            // The constructor may be present. Further bytes would make a library decode the next
            // value from them.
            if inner.rest().len() > 1 {
                return Err(DecodeError("a malformed array"));
            }
            return Ok(Items {
                bytes: &[],
                count,
                constructor: None,
            });
        }
        let mut constructor = inner.byte()?;
        if constructor == 0 {
            inner.descriptor_code()?;
            constructor = inner.byte()?;
        }
        let empty = matches!(constructor, 0x40..=0x45);
        let most = if empty {
            MAX_EMPTY_ITEMS as usize
        } else {
            inner.bytes.len()
        };
        // A library that trusted the count would run out of memory.
        if constructor == 0 || count as usize > most {
            return Err(DecodeError("a malformed array"));
        }
        Ok(Items {
            bytes: inner.bytes,
            count,
            constructor: Some(constructor),
        })
    }
}

#[inline]
fn text<'a>(bytes: &'a [u8], of: impl FnOnce(&'a str) -> Value<'a>) -> Value<'a> {
    match std::str::from_utf8(bytes) {
        Ok(text) => of(text),
        Err(_) => Value::IllFormed(bytes),
    }
}

/// The codes of sections and states that some peers describe with a symbol.
fn symbolic_descriptor(name: &[u8]) -> u64 {
    match name {
        b"amqp:header:list" => 0x70,
        b"amqp:delivery-annotations:map" => 0x71,
        b"amqp:message-annotations:map" => 0x72,
        b"amqp:properties:list" => 0x73,
        b"amqp:application-properties:map" => 0x74,
        b"amqp:data:binary" => 0x75,
        b"amqp:amqp-sequence:list" => 0x76,
        b"amqp:amqp-value:*" => 0x77,
        b"amqp:footer:map" => 0x78,
        b"amqp:transfer:list" => 0x14,
        b"amqp:disposition:list" => 0x15,
        b"amqp:accepted:list" => 0x24,
        b"amqp:rejected:list" => 0x25,
        b"amqp:released:list" => 0x26,
        b"amqp:modified:list" => 0x27,
        b"amqp:error:list" => 0x1d,
        _ => 0,
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
