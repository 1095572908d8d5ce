//! Many messages as one: message-format 0x80013700, data sections with a whole message each.

use std::collections::HashMap;

use bytes::Bytes;

use super::constants::{MAX_BATCH, MAX_BATCH_MESSAGES, PARTITION_KEY};
use crate::connection::SenderLink;
use crate::job::JobOptions;
use crate::wire::message::section;
use crate::wire::write;

/// What a batch has besides its messages, in bytes, at the most.
const OVERHEAD: usize = 1024;

/// What a message has around it in a batch.
const AROUND: usize = 8;

/// What all messages of a batch have in common: the service puts it in one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BatchKey {
    group: Option<String>,
    partition: Option<String>,
}

impl BatchKey {
    pub fn of(options: &JobOptions<'_>) -> Self {
        Self {
            group: options.group.as_deref().map(str::to_owned),
            partition: options.partition_key.as_deref().map(str::to_owned),
        }
    }
}

/// The batch that is being filled, and those whose outcome is awaited.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    open: Option<Open>,
    /// First index and number of jobs.
    sent: HashMap<u64, u64>,
}

#[derive(Debug)]
struct Open {
    first: u64,
    count: u64,
    key: BatchKey,
    body: Vec<u8>,
    sender: SenderLink,
}

/// A batch to be sent.
#[derive(Debug)]
pub(crate) struct Full {
    pub first: u64,
    pub count: u64,
    pub body: Bytes,
    pub sender: SenderLink,
}

impl Batches {
    /// True when the message `index` of `size` bytes may go with those that are there; `limit`
    /// is the link's. What is between the indices of a batch is part of it, so there is no gap.
    pub fn has_room(&self, index: u64, key: &BatchKey, size: usize, limit: u64) -> bool {
        let limit = match usize::try_from(limit) {
            Ok(limit) if limit > 0 => limit.min(MAX_BATCH),
            _ => MAX_BATCH,
        };
        self.open.as_ref().is_none_or(|open| {
            open.first + open.count == index
                && open.key == *key
                && (open.count as usize) < MAX_BATCH_MESSAGES
                && open.body.len() + size + AROUND + OVERHEAD <= limit
        })
    }

    /// Adds a message; there is room, see [`Batches::has_room`].
    pub fn add(&mut self, index: u64, key: BatchKey, message: &[u8], sender: &SenderLink) {
        let open = self.open.get_or_insert_with(|| Open {
            first: index,
            count: 0,
            body: begin(&key),
            key,
            sender: sender.clone(),
        });
        write::descriptor(&mut open.body, section::DATA);
        write::binary(&mut open.body, message);
        open.count += 1;
    }

    /// The batch that was being filled.
    pub fn take(&mut self) -> Option<Full> {
        let open = self.open.take()?;
        self.sent.insert(open.first, open.count);
        Some(Full {
            first: open.first,
            count: open.count,
            body: open.body.into(),
            sender: open.sender,
        })
    }

    /// The number of jobs of the batch that begins at `first`; its outcome is there.
    pub fn sent(&mut self, first: u64) -> Option<u64> {
        self.sent.remove(&first)
    }
}

/// The sections before the messages.
fn begin(key: &BatchKey) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 * 1024);
    if let Some(partition) = &key.partition {
        write::descriptor(&mut out, section::MESSAGE_ANNOTATIONS);
        write::map(&mut out, |out| {
            write::symbol(out, PARTITION_KEY);
            write::string(out, partition);
            2
        });
    }
    if let Some(group) = &key.group {
        write::descriptor(&mut out, section::PROPERTIES);
        write::list(&mut out, |out| {
            (0..10).for_each(|_| write::null(out));
            write::string(out, group);
            11
        });
    }
    out
}
