//! How long a message will be, from its beginning.

use super::message::section;
use super::read::Reader;

/// The length of a message in bytes as far as its beginning tells it: up to the end of the first
/// section that is not complete. A peer may lie, and more sections may follow.
#[must_use]
pub fn announced(beginning: &[u8]) -> usize {
    let mut reader = Reader::new(beginning);
    while !reader.rest().is_empty() {
        let before = reader;
        if reader.descriptor().is_ok() && reader.skip().is_ok() {
            continue;
        }
        let mut section = before;
        return match section.descriptor() {
            Ok(code) if code == u64::from(section::DATA) => match section.rest() {
                [0xb0, a, b, c, d, content @ ..] => {
                    let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
                    beginning.len() - content.len() + length
                }
                _ => beginning.len(),
            },
            _ => beginning.len(),
        };
    }
    beginning.len()
}

#[cfg(test)]
mod tests {
    use super::announced;
    use crate::wire::message::section;
    use crate::wire::write;

    #[test]
    fn the_beginning_of_a_message_tells_its_length() {
        let mut message = Vec::new();
        write::descriptor(&mut message, section::HEADER);
        write::list(&mut message, |_| 0);
        write::descriptor(&mut message, section::DATA);
        write::binary(&mut message, &[7; 1000]);
        for end in 20..message.len() {
            assert_eq!(announced(&message[..end]), message.len(), "{end}");
        }
        for end in 0..20 {
            assert!(announced(&message[..end]) <= message.len(), "{end}");
        }
        assert_eq!(announced(&message), message.len());
        // Another section follows.
        let whole = message.len();
        write::descriptor(&mut message, section::DATA);
        write::binary(&mut message, &[7; 10]);
        assert_eq!(announced(&message[..whole + 1]), whole + 1);
        assert_eq!(announced(&[0xff; 40]), 40);
    }
}
