//! Map entries with text keys, without decoding unwanted ones.

use super::{Encoded, Items, Reader};
use crate::wire::DecodeError;

/// A map entry: the bytes of its key, if that is a string or a symbol, and its value.
pub type Named<'a> = (Option<&'a [u8]>, Encoded<'a>);

impl<'a> Items<'a> {
    /// Reads the next key and value. The key's bytes are unchecked. `None` in place of a key that
    /// is not a string or symbol.
    ///
    /// # Errors
    /// [`DecodeError`] if the content is malformed or has an odd number of items.
    #[inline]
    pub fn named(&mut self) -> Result<Option<Named<'a>>, DecodeError> {
        if self.count == 0 {
            return Ok(None);
        }
        // If a step below fails, nothing more can be read.
        let left = std::mem::take(&mut self.count).checked_sub(2);
        let left = left.ok_or(DecodeError("a map with a key without a value"))?;
        let mut reader = Reader::new(self.bytes);
        // By far the most keys are short strings.
        let key = match self.bytes {
            [0xa1, length, rest @ ..] if usize::from(*length) <= rest.len() => {
                let (key, rest) = rest.split_at(usize::from(*length));
                reader = Reader::new(rest);
                Some(key)
            }
            _ => reader.encoded()?.as_name(),
        };
        let value = reader.encoded()?;
        self.bytes = reader.rest();
        self.count = left;
        Ok(Some((key, value)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::read::Value;
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

    type Entries<'a> = Vec<(Option<&'a [u8]>, Value<'a>)>;

    /// Keys (or `None`) and values; `None` if malformed.
    fn by_entry(mut items: Items<'_>) -> Option<Entries<'_>> {
        let mut all = Vec::new();
        while let Some((key, value)) = items.entry().ok()? {
            all.push((key.as_name(), value));
        }
        Some(all)
    }

    fn by_name(mut items: Items<'_>) -> Option<Entries<'_>> {
        let mut all = Vec::new();
        while let Some((key, value)) = items.named().ok()? {
            all.push((key, value.value()));
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
                Some(_) => good += 1,
                None => bad += 1,
            }
        }
        assert!(good > 1000 && bad > 1000, "{good} {bad}");
    }
}
