//! Many messages as one: message-format 0x80013700, with a complete message in each data section.

use std::collections::HashMap;

use super::constants::{BATCH_FORMAT, MAX_BATCH, MAX_BATCH_MESSAGES};
use crate::brokers::seams::packing::{Packed, Packing};
use crate::connection::SenderLink;
use crate::format::envelope::PARTITION_KEY;
use crate::job::JobOptions;
use crate::wire::message::section;
use crate::wire::write;

/// The maximum size of a batch without its messages, in bytes.
const OVERHEAD: usize = 1024;

/// The extra bytes around each message in a batch.
const AROUND: usize = 8;

/// The key that all messages of a batch share, because the service stores the batch in one place.
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

/// The batch being filled, and those that wait for their outcome.
#[derive(Debug)]
pub(crate) struct Batches<S = SenderLink> {
    open: Option<Open<S>>,
    /// First index → number of jobs.
    sent: HashMap<u64, u64>,
}

#[derive(Debug)]
struct Open<S> {
    first: u64,
    count: u64,
    key: BatchKey,
    body: Vec<u8>,
    sender: S,
}

impl<S> Default for Batches<S> {
    fn default() -> Self {
        Self {
            open: None,
            sent: HashMap::new(),
        }
    }
}

impl<S: Clone> Batches<S> {
    /// Whether the message `index` of `size` bytes fits into the current batch; `limit` is the
    /// link's. The messages of a batch have consecutive indices.
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

    /// Adds a message; [`Batches::has_room`] must have returned true.
    pub fn add(&mut self, index: u64, key: BatchKey, message: &[u8], sender: &S) {
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

    /// Takes the current batch.
    pub fn take(&mut self) -> Option<Packed<S>> {
        let open = self.open.take()?;
        self.sent.insert(open.first, open.count);
        Some(Packed {
            first: open.first,
            count: open.count,
            body: open.body.into(),
            format: BATCH_FORMAT,
            sender: open.sender,
        })
    }

    /// The number of jobs in the batch that begins with job `first`, whose outcome has arrived.
    pub fn sent(&mut self, first: u64) -> Option<u64> {
        self.sent.remove(&first)
    }
}

impl Packing for Batches {
    fn has_room(&self, index: u64, options: &JobOptions<'_>, size: usize, limit: u64) -> bool {
        self.has_room(index, &BatchKey::of(options), size, limit)
    }

    fn add(&mut self, index: u64, options: &JobOptions<'_>, job: &[u8], sender: &SenderLink) {
        self.add(index, BatchKey::of(options), job, sender);
    }

    fn take(&mut self) -> Option<Packed> {
        self.take()
    }

    fn sent(&mut self, first: u64) -> Option<u64> {
        self.sent(first)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::message::{Body, Message};

    fn add(batches: &mut Batches<()>, index: u64, message: &[u8]) {
        batches.add(index, BatchKey::default(), message, &());
    }

    #[test]
    fn a_batch_is_a_message_of_messages() {
        let mut batches = Batches::<()>::default();
        add(&mut batches, 7, b"one");
        add(&mut batches, 8, b"two");
        let full = batches.take().unwrap();
        assert_eq!((full.first, full.count), (7, 2));
        let message = Message::parse(full.body).unwrap();
        let Body::DataMany(parts) = message.body() else {
            panic!("not many");
        };
        assert_eq!(&message.slice(&parts[1])[..], b"two");
        assert_eq!((batches.sent(7), batches.sent(7)), (Some(2), None));
        assert!(batches.take().is_none());
    }

    #[test]
    fn nothing_joins_over_a_gap_with_another_key_or_beyond_the_limit() {
        let mut batches = Batches::<()>::default();
        let key = BatchKey::default();
        assert!(
            batches.has_room(0, &key, 1_000_000_000, 0),
            "the first one always"
        );
        add(&mut batches, 0, &[0; 1000]);
        assert!(batches.has_room(1, &key, 1000, 262_144));
        assert!(
            !batches.has_room(2, &key, 1000, 262_144),
            "index 1 failed alone"
        );
        assert!(!batches.has_room(1, &key, 1000, 2000));
        let other = BatchKey {
            group: Some("s".to_owned()),
            partition: None,
        };
        assert!(!batches.has_room(1, &other, 1000, 262_144));
        for index in 1..MAX_BATCH_MESSAGES as u64 {
            add(&mut batches, index, b"");
        }
        assert!(!batches.has_room(MAX_BATCH_MESSAGES as u64, &key, 1, 0));
    }
}
