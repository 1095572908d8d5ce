//! Entries of a map whose keys are names, without a look at what is not wanted.

use super::{Items, Reader, Value};
use crate::wire::DecodeError;

/// An entry of a map: the bytes of a key that is a string or a symbol, and its value.
pub type Named<'a, T> = (Option<&'a [u8]>, T);

impl<'a> Items<'a> {
    /// The next name and its value, read. The name's bytes are what came, not
    /// looked at. `None` for a key that is no name.
    ///
    /// # Errors
    /// [`DecodeError`] on malformed or odd content.
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

    /// [`Items::named`] with the value's bytes, for a map that was read before.
    ///
    /// # Errors
    /// [`DecodeError`] on content beyond the map's end or odd content.
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

    /// The key of the next entry, which is counted as read; `other` passes over one that is no name.
    #[inline]
    fn key<T>(
        &mut self,
        reader: &mut Reader<'a>,
        other: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Option<Option<&'a [u8]>>, DecodeError> {
        if self.count == 0 {
            return Ok(None);
        }
        // What fails below leaves nothing to go on with.
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
    /// The bytes of the next value when it is a string or a symbol, whatever they
    /// are, passed over; `None` when it is anything else, which is still next.
    #[inline]
    fn text_bytes(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let Some((code @ (0xa1 | 0xa3 | 0xb1 | 0xb3), rest)) = self.bytes.split_first() else {
            return Ok(None);
        };
        self.bytes = rest;
        let length = self.length(*code >= 0xb0)?;
        self.take(length).map(Some)
    }

    /// Passes over the next value by its size alone (1.6: it follows from the
    /// constructor), and returns its bytes. For values that were read before.
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
            // Described, and what no constructor is.
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

    /// Names (where they are) and values; `None` when it is malformed.
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
            // By its text: a double may be one that equals nothing.
            assert_eq!(format!("{:?}", by_name(items)), format!("{expected:?}"));
            match expected {
                Some(expected) => {
                    assert_eq!(
                        format!("{:?}", by_bytes(items)),
                        format!("{:?}", Some(expected))
                    );
                    good += 1;
                }
                // Only what was read before is passed over: it need not notice, but ends.
                None => {
                    by_bytes(items);
                    bad += 1;
                }
            }
        }
        assert!(good > 1000 && bad > 1000, "{good} {bad}");
    }
}
