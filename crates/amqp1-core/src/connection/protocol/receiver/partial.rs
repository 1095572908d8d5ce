//! A delivery of several frames, or of one that arrives in pieces.

use bytes::Bytes;

/// A delivery whose end has not arrived.
#[derive(Debug)]
pub(super) struct Partial {
    pub delivery_id: u32,
    pub settled: bool,
    pub tag: Bytes,
    pub bytes: Vec<u8>,
}
