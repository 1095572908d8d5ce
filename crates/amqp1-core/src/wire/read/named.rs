//! Map entries with text keys, without decoding unwanted ones.

use super::{Items, Reader, Value};
use crate::wire::DecodeError;

/// A map entry: the bytes of its key, if that is a string or a symbol, and its value.
pub type Named<'a, T> = (Option<&'a [u8]>, T);

impl<'a> Items<'a> {
    /// Reads the next key and value. The key's bytes are unchecked. `None` in place of a key that
    /// is not a string or symbol.
    ///
    /// # Errors
    /// [`DecodeError`] if the content is malformed or has an odd number of items.
    #[inline]
    pub fn named(&mut self) -> Result<Option<Named<'a, Value<'a>>>, DecodeError> {
        let mut reader = Reader::new(self.bytes);
        let Some(key) = self.key(&mut reader, Reader::value)? else {
            return Ok(None);
        };
        let value = reader.value()?;
        self.bytes = reader.rest();
        Ok(Some((key, value)))
    }

    /// [`Items::named`] with the value's bytes, for a map that was decoded before.
    ///
    /// # Errors
    /// [`DecodeError`] if the content exceeds the map's end or has an odd number of items.
    #[inline]
    pub fn named_bytes(&mut self) -> Result<Option<Named<'a, &'a [u8]>>, DecodeError> {
        let mut reader = Reader::new(self.bytes);
        let Some(key) = self.key(&mut reader, Reader::pass)? else {
            return Ok(None);
        };
        let value = reader.pass()?;
        self.bytes = reader.rest();
        Ok(Some((key, value)))
    }

    /// The key of the next entry, which then counts as read; `other` skips one that is not a string
    /// or symbol.
    #[inline]
    fn key<T>(
        &mut self,
        reader: &mut Reader<'a>,
        other: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Option<Option<&'a [u8]>>, DecodeError> {
        if self.count == 0 {
            return Ok(None);
        }
        // If a step below fails, nothing more can be read.
        let left = std::mem::take(&mut self.count).checked_sub(2);
        let left = left.ok_or(DecodeError("a map with a key without a value"))?;
        let key = reader.text_bytes()?;
        if key.is_none() {
            other(reader)?;
        }
        self.count = left;
        Ok(Some(key))
    }
}

impl<'a> Reader<'a> {
    /// The bytes of the next value, unchecked, if it is a string or a symbol. `None` for any other
    /// value, which is not consumed.
    #[inline]
    fn text_bytes(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let Some((code @ (0xa1 | 0xa3 | 0xb1 | 0xb3), rest)) = self.bytes.split_first() else {
            return Ok(None);
        };
        self.bytes = rest;
        let length = self.length(*code >= 0xb0)?;
        self.take(length).map(Some)
    }

    /// Skips the next value by its size alone (1.6: the constructor determines it), and returns its
    /// bytes. For values that were decoded before.
    #[inline]
    fn pass(&mut self) -> Result<&'a [u8], DecodeError> {
        let before = self.bytes;
        let code = self.byte()?;
        let size = match code >> 4 {
            0x4 => 0,
            0x5 => 1,
            0x6 => 2,
            0x7 => 4,
            0x8 => 8,
            0x9 => 16,
            0xa | 0xc | 0xe => self.length(false)?,
            0xb | 0xd | 0xf => self.length(true)?,
            // Described values, and invalid constructors.
            _ => {
                self.bytes = before;
                return self.skip();
            }
        };
        self.take(size)?;
        Ok(&before[..before.len() - self.bytes.len()])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::write;

    fn map() -> Vec<u8> {
        let mut out = Vec::new();
        write::map(&mut out, |out| {
            write::string(out, "name");
            write::string(out, "grüße");
            write::symbol(out, "symbol");
            write::binary(out, &[7; 300]);
            write::uint(out, 70_000);
            write::list(out, |out| {
                write::long(out, -5);
                1
            });
            write::string(out, &"long".repeat(80));
            write::descriptor(out, 0x77);
            write::uuid(out, &[9; 16]);
            write::string(out, "empty");
            write::null(out);
            write::string(out, "array");
            write::long_array(out, &[1, 2]);
            write::string(out, "small");
            out.extend_from_slice(&[0x60, 1, 2]);
            14
        });
        out
    }

    /// Keys (or `None`) and values; `None` if malformed.
    fn by_entry(mut items: Items<'_>) -> Option<Vec<Named<'_, Value<'_>>>> {
        let mut all = Vec::new();
        while let Some((key, value)) = items.entry().ok()? {
            all.push((key.as_name(), value));
        }
        Some(all)
    }

    fn by_name(mut items: Items<'_>) -> Option<Vec<Named<'_, Value<'_>>>> {
        let mut all = Vec::new();
        while let Some((key, value)) = items.named().ok()? {
            all.push((key, value));
        }
        Some(all)
    }

    fn by_bytes(mut items: Items<'_>) -> Option<Vec<Named<'_, Value<'_>>>> {
        let mut all = Vec::new();
        while let Some((key, value)) = items.named_bytes().ok()? {
            let value = Reader::new(value).value().ok()?;
            all.push((key, value));
        }
        Some(all)
    }

    #[test]
    fn all_ways_to_read_a_map_agree() {
        let whole = map();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as usize
        };
        let (mut good, mut bad) = (0, 0);
        for round in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..round % 4 {
                let at = next() % bytes.len();
                bytes[at] = next() as u8;
            }
            let Ok(Value::Map(items)) = Reader::new(&bytes).value() else {
                continue;
            };
            let expected = by_entry(items);
            // Compared as text, because a double may be NaN.
            assert_eq!(format!("{:?}", by_name(items)), format!("{expected:?}"));
            match expected {
                Some(expected) => {
                    assert_eq!(
                        format!("{:?}", by_bytes(items)),
                        format!("{:?}", Some(expected))
                    );
                    good += 1;
                }
                // Skipping is only for values that were decoded before: it need not detect the
                // error, but must end.
                None => {
                    by_bytes(items);
                    bad += 1;
                }
            }
        }
        assert!(good > 1000 && bad > 1000, "{good} {bad}");
    }
}
