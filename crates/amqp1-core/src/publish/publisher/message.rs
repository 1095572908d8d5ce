//! A message as it is kept until it is confirmed, to be sent again if its connection is lost.

use bytes::Bytes;

use crate::base::memory;
use crate::job::keep::Kept;

#[derive(Debug)]
pub(super) enum Message {
    /// All of it, in our memory.
    Whole(Bytes),
    /// The body's bytes are the caller's, in its memory.
    Apart { head: Bytes, body: Kept },
}

impl Message {
    pub fn len(&self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.len(),
            Self::Apart { head, body } => head.len() + body.bytes().len(),
        }
    }

    /// What it counts for among the unconfirmed ones. What stays in the caller's memory counts twice:
    /// PHP's allocator reuses that of 2 MB, but of more it returns parts to the system, and gets
    /// them again page by page.
    pub fn weight(&self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.len(),
            Self::Apart { .. } => 2 * self.len(),
        }
    }

    /// All of it in our memory, copied if necessary.
    pub fn whole(&self) -> Bytes {
        match self {
            Self::Whole(bytes) => bytes.clone(),
            Self::Apart { head, body } => {
                let body = body.bytes();
                let mut whole = memory::buffer(head.len() + body.len());
                whole.extend_from_slice(head);
                whole.extend_from_slice(body);
                memory::share(whole)
            }
        }
    }
}
