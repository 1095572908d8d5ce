//! The rest of a long transfer frame.

/// What has not arrived of a transfer frame.
#[derive(Debug)]
pub(super) struct Rest {
    pub channel: u16,
    pub handle: u32,
    pub settled: bool,
    pub more: bool,
    pub aborted: bool,
    /// In bytes; at least one.
    pub missing: usize,
}
