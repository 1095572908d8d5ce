//! Bytes of a job that are usually part of its message.

use std::ops::Range;

use bytes::Bytes;

use crate::wire::message::Message;

/// A text or a body of a job: its place in the message, so that reading a job copies nothing that
/// nobody asks for.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// Where it is in the message.
    At(Range<usize>),
    /// It is not in the message as it is: it was decoded, converted or generated.
    Own(Bytes),
}

impl Part {
    pub const EMPTY: Part = Part::At(0..0);

    /// Copies `bytes` only if they are not those of `message`.
    #[inline]
    pub fn of(message: &Message, bytes: &[u8]) -> Self {
        match message.range_of(bytes) {
            Some(range) => Part::At(range),
            None => Part::Own(Bytes::copy_from_slice(bytes)),
        }
    }

    #[inline]
    pub fn get<'a>(&'a self, message: &'a Message) -> &'a [u8] {
        match self {
            Part::At(range) => message.bytes().get(range.clone()).unwrap_or_default(),
            Part::Own(bytes) => bytes,
        }
    }

    /// A second handle on its bytes.
    pub fn bytes(&self, message: &Message) -> Bytes {
        match self {
            Part::At(range) => message.slice(range),
            Part::Own(bytes) => bytes.clone(),
        }
    }
}

impl<T: Into<Bytes>> From<T> for Part {
    fn from(bytes: T) -> Self {
        Part::Own(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::write;

    #[test]
    fn only_bytes_of_the_message_are_not_copied() {
        let mut bytes = Vec::new();
        write::descriptor(&mut bytes, crate::wire::message::section::DATA);
        write::binary(&mut bytes, b"payload");
        let whole = Bytes::from([b"before", &bytes[..], b"after"].concat());
        let message = Message::parse(whole.slice(6..6 + bytes.len())).unwrap();
        let inside = &message.bytes()[5..];
        let part = Part::of(&message, inside);
        assert!(matches!(part, Part::At(_)));
        assert_eq!(part.get(&message), b"payload");
        // Beside it in the same memory, and elsewhere.
        for other in [
            &whole[..6],
            &whole[4..8],
            &whole[6 + bytes.len()..],
            b"other",
        ] {
            let part = Part::of(&message, other);
            assert!(matches!(part, Part::Own(_)));
            assert_eq!(part.get(&message), other);
        }
        for nothing in [&inside[..0], &inside[7..], b""] {
            assert_eq!(Part::of(&message, nothing).get(&message), b"");
        }
    }
}
