//! A message as it is sent.

use std::ops::Range;

use bytes::Bytes;

use crate::base::memory;

/// An encoded message. The bytes of its body may be apart from what comes before them.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    head: Bytes,
    body: Bytes,
}

impl From<Bytes> for Parts {
    fn from(whole: Bytes) -> Self {
        Self::new(whole, Bytes::new())
    }
}

impl Parts {
    pub fn new(head: Bytes, body: Bytes) -> Self {
        Self { head, body }
    }

    pub fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// The pieces of which a part consists.
    pub fn pieces(&self, part: &Range<usize>) -> [&[u8]; 2] {
        let (of_head, of_body) = self.ranges(part);
        [&self.head[of_head], &self.body[of_body]]
    }

    /// The same pieces, shared.
    pub fn shared(&self, part: &Range<usize>) -> [Bytes; 2] {
        let (of_head, of_body) = self.ranges(part);
        [self.head.slice(of_head), self.body.slice(of_body)]
    }

    fn ranges(&self, part: &Range<usize>) -> (Range<usize>, Range<usize>) {
        let head = self.head.len();
        let of_head = part.start.min(head)..part.end.min(head);
        let of_body = part.start.max(head) - head..part.end.max(head) - head;
        (of_head, of_body)
    }

    /// Whether the body is there.
    pub fn is_in(&self, place: &Range<usize>) -> bool {
        is_in(&self.body, place)
    }

    /// Copies the body if it is there.
    pub fn leave(&mut self, place: &Range<usize>) {
        leave(&mut self.body, place);
    }
}

/// Whether the bytes are in this part of the memory.
pub(super) fn is_in(bytes: &Bytes, place: &Range<usize>) -> bool {
    !bytes.is_empty() && place.contains(&(bytes.as_ptr() as usize))
}

/// Copies bytes that are in this part of the memory.
pub(super) fn leave(bytes: &mut Bytes, place: &Range<usize>) {
    if is_in(bytes, place) {
        *bytes = memory::copy(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_all_parts_are_the_whole() {
        let message = Parts::new(Bytes::from_static(b"head"), Bytes::from_static(b"the body"));
        let whole = b"headthe body";
        assert_eq!(message.len(), whole.len());
        for start in 0..=whole.len() {
            for end in start..=whole.len() {
                let pieces = message.pieces(&(start..end));
                assert_eq!(pieces.concat(), &whole[start..end]);
                assert_eq!(message.shared(&(start..end)).concat(), pieces.concat());
            }
        }
    }

    #[test]
    fn only_what_is_in_the_place_is_copied() {
        let (lent, own) = (vec![7; 100], Bytes::from(vec![8; 100]));
        let start = lent.as_ptr() as usize;
        let place = start..start + lent.len();
        let lent = Bytes::from(lent);
        let mut message = Parts::new(own.clone(), lent.clone());
        assert!(message.is_in(&place));
        message.leave(&place);
        assert!(!message.is_in(&place));
        let [head, body] = message.shared(&(0..200));
        assert_eq!((head.as_ptr(), body), (own.as_ptr(), lent));
        // The rest of a part that was written in part.
        let mut rest = Bytes::from(vec![9; 100]);
        let start = rest.as_ptr() as usize;
        rest = rest.slice(60..);
        assert!(is_in(&rest, &(start..start + 100)));
        leave(&mut rest, &(start..start + 100));
        assert_eq!(rest, vec![9; 40]);
    }
}
