//! Walks AMQP-encoded values without decoding them (AMQP 1.0 part 1, section 1.6).
//!
//! All input is walked here before `serde_amqp` sees it. That decoder trusts lengths (it allocates
//! what a length claims, and subtracts from it) and recurses without a limit. After the walk, every
//! length lies inside the buffer and the nesting is bounded, so that decoding can neither run out
//! of memory nor overflow the stack.

/// The deepest accepted nesting of described types, lists, maps and arrays.
pub(crate) const MAX_DEPTH: u8 = 32;

/// The most elements of an array whose elements occupy no bytes (null, true, false, zero, empty
/// list). Only in such an array can the count exceed the bytes that carry it.
const MAX_EMPTY_ELEMENTS: usize = 64;

/// The bytes are not an AMQP value: a length exceeds the buffer, a format code does not exist, a
/// count does not match, or the nesting is too deep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Where the value that begins at `at` ends; checks its contents at every level.
pub(crate) fn check(buf: &[u8], at: usize) -> Result<usize, Malformed> {
    value(buf, at, MAX_DEPTH)
}

/// Where the value that begins at `at` ends; skips the contents of lists, maps and arrays by their
/// size alone. Enough for values that are never decoded.
pub(crate) fn skip(buf: &[u8], at: usize) -> Result<usize, Malformed> {
    let (code, at) = constructor(buf, at, MAX_DEPTH)?;
    let end = match code >> 4 {
        0x4..=0x9 => fixed_end(code, at)?,
        0xa | 0xc | 0xe => at.checked_add(1 + length(buf, at, 1)?).ok_or(Malformed)?,
        0xb | 0xd | 0xf => at.checked_add(4 + length(buf, at, 4)?).ok_or(Malformed)?,
        _ => return Err(Malformed),
    };
    inside(buf, end)
}

fn value(buf: &[u8], at: usize, depth: u8) -> Result<usize, Malformed> {
    let (code, at) = constructor(buf, at, depth)?;
    element(buf, at, code, depth)
}

/// Reads a constructor with its descriptors. Returns the primitive format code and where its data
/// begins.
fn constructor(buf: &[u8], mut at: usize, mut depth: u8) -> Result<(u8, usize), Malformed> {
    loop {
        let code = *buf.get(at).ok_or(Malformed)?;
        at += 1;
        if code != 0 {
            return Ok((code, at));
        }
        depth = depth.checked_sub(1).ok_or(Malformed)?;
        at = value(buf, at, depth)?;
    }
}

/// Where the data of one element with this format code ends.
fn element(buf: &[u8], at: usize, code: u8, depth: u8) -> Result<usize, Malformed> {
    match code >> 4 {
        0x4..=0x9 => inside(buf, fixed_end(code, at)?),
        0xa => inside(buf, at + 1 + length(buf, at, 1)?),
        0xb => inside(
            buf,
            at.checked_add(4 + length(buf, at, 4)?).ok_or(Malformed)?,
        ),
        0xc => compound(buf, at, 1, code, depth),
        0xd => compound(buf, at, 4, code, depth),
        0xe => array(buf, at, 1, depth),
        0xf => array(buf, at, 4, depth),
        _ => Err(Malformed),
    }
}

fn fixed_end(code: u8, at: usize) -> Result<usize, Malformed> {
    let width = match code >> 4 {
        0x4 => 0,
        0x5 => 1,
        0x6 => 2,
        0x7 => 4,
        0x8 => 8,
        0x9 => 16,
        _ => return Err(Malformed),
    };
    Ok(at + width)
}

/// The extent of a compound or an array: where its items begin, their count, and where it ends.
fn extent(buf: &[u8], at: usize, width: usize) -> Result<(usize, usize, usize), Malformed> {
    let end = inside(
        buf,
        at.checked_add(width + length(buf, at, width)?)
            .ok_or(Malformed)?,
    )?;
    let items = at + 2 * width;
    if items > end {
        return Err(Malformed);
    }
    Ok((items, length(buf, at + width, width)?, end))
}

fn compound(buf: &[u8], at: usize, width: usize, code: u8, depth: u8) -> Result<usize, Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed)?;
    let (mut at, count, end) = extent(buf, at, width)?;
    // 0xc1 and 0xd1 are maps: keys and values are counted individually.
    if code & 0x0f == 1 && count % 2 != 0 {
        return Err(Malformed);
    }
    let buf = buf.get(..end).ok_or(Malformed)?;
    for _ in 0..count {
        at = value(buf, at, depth)?;
    }
    if at == end {
        Ok(end)
    } else {
        Err(Malformed)
    }
}

fn array(buf: &[u8], at: usize, width: usize, depth: u8) -> Result<usize, Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed)?;
    let (at, count, end) = extent(buf, at, width)?;
    if count == 0 {
        // Some peers leave out the constructor of an empty array. `serde_amqp` then reads the next
        // byte as a constructor, which must not be one that claims up to 4 GiB.
        return match buf.get(at..end) {
            Some([] | [0x40..=0xaf | 0xc0..=0xcf | 0xe0..=0xef]) => Ok(end),
            _ => Err(Malformed),
        };
    }
    let buf = buf.get(..end).ok_or(Malformed)?;
    let (code, mut at) = constructor(buf, at, depth)?;
    if code >> 4 == 0x4 && count > MAX_EMPTY_ELEMENTS {
        return Err(Malformed);
    }
    for _ in 0..count {
        at = element(buf, at, code, depth)?;
    }
    if at == end {
        Ok(end)
    } else {
        Err(Malformed)
    }
}

fn length(buf: &[u8], at: usize, width: usize) -> Result<usize, Malformed> {
    let bytes = buf.get(at..at + width).ok_or(Malformed)?;
    Ok(bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b)))
}

fn inside(buf: &[u8], end: usize) -> Result<usize, Malformed> {
    if end <= buf.len() {
        Ok(end)
    } else {
        Err(Malformed)
    }
}

/// The items of an encoded list or map, each as the bytes of one value. The descriptor of a
/// described one is skipped. The value must have passed [`check`].
pub(crate) fn items(encoded: &[u8]) -> Items<'_> {
    let start = constructor(encoded, 0, MAX_DEPTH).and_then(|(code, at)| match code {
        0x45 => Ok((at, 0)),
        0xc0 | 0xc1 => extent(encoded, at, 1).map(|(at, count, _)| (at, count)),
        0xd0 | 0xd1 => extent(encoded, at, 4).map(|(at, count, _)| (at, count)),
        _ => Err(Malformed),
    });
    let (at, left) = start.unwrap_or((0, 0));
    Items { encoded, at, left }
}

/// An iterator over the [`items`] of a list or map.
#[derive(Debug)]
pub(crate) struct Items<'a> {
    encoded: &'a [u8],
    at: usize,
    left: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let start = self.at;
        self.at = skip(self.encoded, start).ok()?;
        self.encoded.get(start..self.at)
    }
}

/// The text of an encoded symbol or string; `None` for any other type.
pub(crate) fn text(encoded: &[u8]) -> Option<&str> {
    let bytes = match *encoded.first()? {
        0xa1 | 0xa3 => encoded.get(2..),
        0xb1 | 0xb3 => encoded.get(5..),
        _ => None,
    };
    std::str::from_utf8(bytes?).ok()
}

/// The descriptor code of an encoded described value. A symbolic descriptor is looked up in
/// `names`.
pub(crate) fn descriptor(encoded: &[u8], names: &[(&str, u64)]) -> Option<u64> {
    if *encoded.first()? != 0 {
        return None;
    }
    match *encoded.get(1)? {
        0x44 => Some(0),
        0x53 => encoded.get(2).map(|b| u64::from(*b)),
        0x80 => encoded
            .get(2..10)
            .map(|b| b.iter().fold(0, |n, b| n << 8 | u64::from(*b))),
        0xa3 | 0xb3 => {
            let end = skip(encoded, 1).ok()?;
            let name = text(encoded.get(1..end)?)?;
            names.iter().find(|(n, _)| *n == name).map(|(_, c)| *c)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn primitives_end_where_their_width_says() {
        assert_eq!(check(&[0x40], 0), Ok(1));
        assert_eq!(check(&[0x53, 9], 0), Ok(2));
        assert_eq!(check(&[0xa1, 2, b'a', b'b'], 0), Ok(4));
        assert_eq!(check(&[0x80, 0, 0, 0, 0, 0, 0, 0], 0), Err(Malformed));
    }

    #[test]
    fn a_length_beyond_the_buffer_is_refused() {
        assert_eq!(
            check(&[0xb1, 0xff, 0xff, 0xff, 0xff, b'a'], 0),
            Err(Malformed)
        );
        assert_eq!(
            skip(&[0xd0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], 0),
            Err(Malformed)
        );
    }

    #[test]
    fn a_size_too_small_for_its_own_count_is_refused() {
        assert_eq!(check(&[0xd0, 0, 0, 0, 0, 0, 0, 0, 0], 0), Err(Malformed));
        assert_eq!(check(&[0xc0, 0], 0), Err(Malformed));
    }

    #[test]
    fn a_count_that_does_not_match_is_refused() {
        assert_eq!(check(&[0xc0, 2, 1, 0x40], 0), Ok(4));
        assert_eq!(check(&[0xc0, 2, 2, 0x40], 0), Err(Malformed));
        assert_eq!(check(&[0xc0, 3, 1, 0x40, 0x40], 0), Err(Malformed));
        assert_eq!(check(&[0xc1, 2, 1, 0x40], 0), Err(Malformed), "odd map");
    }

    #[test]
    fn an_array_of_nothing_cannot_claim_four_billion_elements() {
        let none = [0xe0, 1, 0];
        assert_eq!(check(&none, 0), Ok(3));
        let none_of_symbols = [0xe0, 2, 0, 0xa3];
        assert_eq!(check(&none_of_symbols, 0), Ok(4));
        let none_and_more = [0xe0, 6, 0, 0xb3, 0x4e, 0x41, 0x0f, 0x4f];
        assert_eq!(check(&none_and_more, 0), Err(Malformed));
        let none_of_long = [0xe0, 2, 0, 0xb3];
        assert_eq!(check(&none_of_long, 0), Err(Malformed));
        let huge = [0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x41];
        assert_eq!(check(&huge, 0), Err(Malformed));
        // Nor can ten thousand arrays in one frame claim sixty thousand elements each.
        let many = [0xf0, 0, 0, 0, 5, 0, 0, 0xff, 0xff, 0x41];
        assert_eq!(check(&many, 0), Err(Malformed));
    }

    #[test]
    fn deep_nesting_is_refused() {
        let mut encoded = vec![0x40];
        for _ in 0..100 {
            let mut outer = vec![0xd0];
            outer.extend_from_slice(&(encoded.len() as u32 + 4).to_be_bytes());
            outer.extend_from_slice(&1u32.to_be_bytes());
            outer.extend_from_slice(&encoded);
            encoded = outer;
        }
        assert_eq!(check(&encoded, 0), Err(Malformed));
        assert_eq!(
            check(&[0u8; 100_000], 0),
            Err(Malformed),
            "descriptors of descriptors"
        );
    }

    #[test]
    fn items_yields_each_encoded_item() {
        let list = [0x00, 0x53, 0x73, 0xc0, 5, 3, 0x40, 0x53, 7, 0x41];
        assert_eq!(check(&list, 0), Ok(list.len()));
        let items: Vec<_> = items(&list).collect();
        assert_eq!(items, [&[0x40][..], &[0x53, 7], &[0x41]]);
    }
}
