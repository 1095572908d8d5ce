//! Many jobs in one message, for brokers that take such messages apart.

use bytes::Bytes;

use crate::connection::SenderLink;
use crate::job::JobOptions;

/// The message that is being filled, and those whose outcome is awaited.
pub(crate) trait Packing: std::fmt::Debug + Send {
    /// The job `index` of `size` bytes may go with those that are there; `limit` is the link's. What is between the
    /// indices of a message is part of it, so there is no gap.
    fn has_room(&self, index: u64, options: &JobOptions<'_>, size: usize, limit: u64) -> bool;

    /// Adds a job; there is room, see [`Packing::has_room`].
    fn add(&mut self, index: u64, options: &JobOptions<'_>, job: &[u8], sender: &SenderLink);

    /// The message that was being filled.
    fn take(&mut self) -> Option<Packed>;

    /// The number of jobs of the message that begins at `first`; its outcome is there.
    fn sent(&mut self, first: u64) -> Option<u64>;
}

/// Jobs in one message, to be sent.
#[derive(Debug)]
pub(crate) struct Packed<S = SenderLink> {
    /// The index of the first.
    pub first: u64,
    pub count: u64,
    pub body: Bytes,
    /// The transfer's `message-format`.
    pub format: u32,
    pub sender: S,
}
