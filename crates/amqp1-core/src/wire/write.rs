//! Encodes AMQP values (AMQP 1.0 part 1, section 1.6) at the end of a buffer.

/// The constructor of a described type whose code fits in a byte.
pub fn descriptor(out: &mut Vec<u8>, code: u8) {
    out.extend_from_slice(&[0x00, 0x53, code]);
}

/// `null`.
pub fn null(out: &mut Vec<u8>) {
    out.push(0x40);
}

/// `boolean`.
pub fn bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0x41 } else { 0x42 });
}

/// `ubyte`.
pub fn ubyte(out: &mut Vec<u8>, value: u8) {
    out.extend_from_slice(&[0x50, value]);
}

/// `uint`, in its shortest form.
pub fn uint(out: &mut Vec<u8>, value: u32) {
    match value {
        0 => out.push(0x43),
        1..=255 => out.extend_from_slice(&[0x52, value as u8]),
        _ => {
            out.push(0x70);
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

/// `ulong`, in its shortest form.
pub fn ulong(out: &mut Vec<u8>, value: u64) {
    match value {
        0 => out.push(0x44),
        1..=255 => out.extend_from_slice(&[0x53, value as u8]),
        _ => {
            out.push(0x80);
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

/// `int`, in its shortest form.
pub fn int(out: &mut Vec<u8>, value: i32) {
    match i8::try_from(value) {
        Ok(small) => out.extend_from_slice(&[0x54, small as u8]),
        Err(_) => {
            out.push(0x71);
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

/// `long`, in its shortest form.
pub fn long(out: &mut Vec<u8>, value: i64) {
    match i8::try_from(value) {
        Ok(small) => out.extend_from_slice(&[0x55, small as u8]),
        Err(_) => {
            out.push(0x81);
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

/// `double`.
pub fn double(out: &mut Vec<u8>, value: f64) {
    out.push(0x82);
    out.extend_from_slice(&value.to_be_bytes());
}

/// `timestamp`, milliseconds since the Unix epoch.
pub fn timestamp(out: &mut Vec<u8>, milliseconds: i64) {
    out.push(0x83);
    out.extend_from_slice(&milliseconds.to_be_bytes());
}

/// `string` of at most 255 bytes, encoded by the compiler: for the names that every job has.
macro_rules! literal {
    ($out:expr, $text:literal) => {{
        const TEXT: &[u8] = $text.as_bytes();
        const ENCODED: [u8; TEXT.len() + 2] = $crate::wire::write::encoded_literal(TEXT);
        $out.extend_from_slice(&ENCODED);
    }};
}
pub(crate) use literal;

/// See [`literal`].
pub(crate) const fn encoded_literal<const N: usize>(text: &[u8]) -> [u8; N] {
    assert!(N == text.len() + 2 && text.len() <= 255);
    let mut encoded = [0; N];
    (encoded[0], encoded[1]) = (0xa1, text.len() as u8);
    let mut at = 0;
    while at < text.len() {
        encoded[at + 2] = text[at];
        at += 1;
    }
    encoded
}

/// `string`.
pub fn string(out: &mut Vec<u8>, value: &str) {
    variable(out, 0xa1, 0xb1, value.as_bytes());
}

/// `symbol`; the caller ensures that it is ASCII.
pub fn symbol(out: &mut Vec<u8>, value: &str) {
    variable(out, 0xa3, 0xb3, value.as_bytes());
}

/// `binary`.
pub fn binary(out: &mut Vec<u8>, value: &[u8]) {
    variable(out, 0xa0, 0xb0, value);
}

/// The beginning of a `binary` of `length` bytes, which the caller writes.
pub fn binary_head(out: &mut Vec<u8>, length: usize) {
    out.push(0xb0);
    out.extend_from_slice(&(length as u32).to_be_bytes());
}

/// `binary` with the bytes that `content` writes.
pub fn binary_of(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    out.push(0xb0);
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    content(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// `uuid`.
pub fn uuid(out: &mut Vec<u8>, value: &[u8; 16]) {
    out.push(0x98);
    out.extend_from_slice(value);
}

/// `array` of `uuid`.
pub fn uuid_array(out: &mut Vec<u8>, values: &[[u8; 16]]) {
    array(
        out,
        0x98,
        values.len(),
        values.iter().map(|value| &value[..]),
    );
}

/// `array` of `long`.
pub fn long_array(out: &mut Vec<u8>, values: &[i64]) {
    let bytes: Vec<[u8; 8]> = values.iter().map(|value| value.to_be_bytes()).collect();
    array(
        out,
        0x81,
        values.len(),
        bytes.iter().map(|value| &value[..]),
    );
}

fn array<'a>(
    out: &mut Vec<u8>,
    constructor: u8,
    count: usize,
    items: impl Iterator<Item = &'a [u8]>,
) {
    out.push(0xf0);
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(count as u32).to_be_bytes());
    out.push(constructor);
    items.for_each(|item| out.extend_from_slice(item));
    let size = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

fn variable(out: &mut Vec<u8>, short: u8, long: u8, value: &[u8]) {
    out.reserve(value.len() + 5);
    match u8::try_from(value.len()) {
        Ok(length) => out.extend_from_slice(&[short, length]),
        Err(_) => {
            out.push(long);
            out.extend_from_slice(&(value.len() as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(value);
}

/// `list` of the items that `items` writes; it returns their count.
pub fn list(out: &mut Vec<u8>, items: impl FnOnce(&mut Vec<u8>) -> u32) {
    compound(out, 0xd0, items);
}

/// `map`; `entries` writes alternating keys and values and returns the count of both.
pub fn map(out: &mut Vec<u8>, entries: impl FnOnce(&mut Vec<u8>) -> u32) {
    compound(out, 0xd1, entries);
}

fn compound(out: &mut Vec<u8>, code: u8, items: impl FnOnce(&mut Vec<u8>) -> u32) {
    out.push(code);
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    let count = items(out);
    let size = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
    out[start + 4..start + 8].copy_from_slice(&count.to_be_bytes());
}
