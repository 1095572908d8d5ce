//! Payloads that stay in the caller's memory.

use std::fmt;

/// The caller's bytes, which can stay where they are until the broker has confirmed the job: they
/// are neither copied nor encoded.
pub trait Keep: fmt::Debug {
    /// Keeps the bytes, unchanged and in their place, until the returned value is dropped by the
    /// same thread.
    fn keep(&self) -> Kept;
}

/// Bytes in the caller's memory.
pub struct Kept(Box<dyn AsRef<[u8]>>);

impl Kept {
    /// `owner` returns the same bytes each time.
    pub fn new(owner: impl AsRef<[u8]> + 'static) -> Self {
        Self(Box::new(owner))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({} bytes)", self.bytes().len())
    }
}
