//! Many jobs in one message, for brokers that unpack such messages.

use bytes::Bytes;

use crate::connection::SenderLink;
use crate::job::JobOptions;

/// The message being filled, and those that wait for their outcome.
pub(crate) trait Packing: std::fmt::Debug + Send {
    /// Whether the job `index` of `size` bytes fits into the current message; `limit` is the
    /// link's. The jobs of a message have consecutive indices.
    fn has_room(&self, index: u64, options: &JobOptions<'_>, size: usize, limit: u64) -> bool;

    /// Adds a job; [`Packing::has_room`] must have returned true.
    fn add(&mut self, index: u64, options: &JobOptions<'_>, job: &[u8], sender: &SenderLink);

    /// Takes the current message.
    fn take(&mut self) -> Option<Packed>;

    /// The number of jobs in the message that begins with job `first`, whose outcome has arrived.
    fn sent(&mut self, first: u64) -> Option<u64>;
}

/// Jobs packed into one message.
#[derive(Debug)]
pub(crate) struct Packed<S = SenderLink> {
    /// The index of its first job.
    pub first: u64,
    pub count: u64,
    pub body: Bytes,
    /// The transfer's `message-format`.
    pub format: u32,
    pub sender: S,
}
