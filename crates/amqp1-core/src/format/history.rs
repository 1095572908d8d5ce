//! What a message says of its earlier deliveries.
//!
//! Brokers count deliveries, not attempts. When a process is killed, each job in its buffer
//! counts as delivered, like the one it was killed at; RabbitMQ 4.3 counts what the consumer
//! timeout takes back the same way. So each end that we know of is written into the message's
//! annotations, where the broker keeps those: that it failed, or that it went back unseen.
//! What is left over nobody accounted for: it was being worked on, or it only waited nearby.

use bytes::Bytes;

use crate::wire::message::{section, Header, Message};
use crate::wire::read::Value;
use crate::wire::DecodeError;

/// Deliveries that ended as a failed attempt, by `modified`.
pub(crate) const FAILED: &str = "x-opt-amqp1-failed";

/// Deliveries that went back before anybody saw them.
pub(crate) const RETURNED: &str = "x-opt-amqp1-returned";

/// Deliveries that ended as a failed attempt, as Service Bus keeps it: `modified` changes
/// application properties there.
pub(crate) const ABANDONED: &str = "rr_abandoned";

/// In a copy that takes the place of its original, for a count of its own: deliveries of the
/// original that ended without a word.
pub(crate) const LOST: &str = "rr_lost";

/// RabbitMQ 4.3, quorum queues: deliveries of every kind.
const ACQUIRED: &str = "x-acquired-count";

/// RabbitMQ 4.0, quorum queues: what counts to `x-delivery-limit`.
const COUNTED: &str = "x-delivery-count";

/// Which deliveries a broker counts, and what it keeps of our word on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Ledger {
    /// It counts nothing that tells of a job's past.
    #[default]
    None,
    /// Those that were lost: an attempt that failed is a copy, whose count begins at none, or
    /// is told beside the annotations ([`ABANDONED`]).
    Lost,
    /// Failed ones: a lost connection's and `modified`. It keeps our annotations.
    Failed,
    /// Returned ones as well.
    All,
}

/// The earlier deliveries of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct History {
    /// The header's.
    delivery_count: u32,
    acquired: Option<u32>,
    counted: u32,
    failed: u32,
    returned: u32,
    /// Of the message that this one took the place of.
    lost: u32,
}

impl History {
    /// Of a message; what cannot be read of its annotations says nothing.
    pub fn of(message: &Message, header: &Header) -> Self {
        let mut history = Self {
            delivery_count: header.delivery_count,
            ..Self::default()
        };
        // The usual case: nobody had it before.
        if header.first_acquirer && header.delivery_count == 0 {
            return history;
        }
        if let Ok(Some(mut items)) = message.annotations() {
            while let Ok(Some((key, value))) = items.entry() {
                match key.as_text() {
                    Some(ACQUIRED) => history.acquired = Some(count(&value)),
                    Some(COUNTED) => history.counted = count(&value),
                    Some(FAILED) => history.failed = count(&value),
                    Some(RETURNED) => history.returned = count(&value),
                    _ => {}
                }
            }
        }
        history
    }

    /// Of a message whose broker keeps no annotations of ours, by what its application
    /// properties say.
    pub fn told(header: &Header, abandoned: u32, lost: u32) -> Self {
        Self {
            delivery_count: header.delivery_count,
            failed: abandoned,
            lost,
            ..Self::default()
        }
    }

    /// Of a message that nobody has looked into; empty for one that cannot be read.
    pub fn peek(payload: &Bytes, ledger: Ledger) -> Self {
        // The usual case is told by one field. Not all brokers tell a first acquirer.
        let is_fresh = match ledger {
            Ledger::Lost => matches!(
                header_field(payload, 4),
                Some([0x40 | 0x43] | [0x52, 0] | [0x70, 0, 0, 0, 0])
            ),
            _ => matches!(header_field(payload, 3), Some([0x41] | [0x56, 1])),
        };
        if is_fresh {
            return Self::default();
        }
        let read = || {
            let message = Message::parse(payload.clone())?;
            let header = message.header()?;
            Ok::<_, DecodeError>(match ledger {
                Ledger::Lost if header.delivery_count == 0 => Self::default(),
                Ledger::Lost => Self::counted(&message, &header)?,
                _ => Self::of(&message, &header),
            })
        };
        read().unwrap_or_default()
    }

    /// What [`History::told`] is given by those who read all of the properties.
    fn counted(message: &Message, header: &Header) -> Result<Self, DecodeError> {
        let mut history = Self::told(header, 0, 0);
        if let Some(mut items) = message.application_properties()? {
            while let Some((key, value)) = items.named()? {
                match key {
                    Some(key) if key == ABANDONED.as_bytes() => history.failed = count(&value),
                    Some(key) if key == LOST.as_bytes() => history.lost = count(&value),
                    _ => {}
                }
            }
        }
        Ok(history)
    }

    /// Deliveries that the header's delivery-count leaves out, and that somebody may have seen.
    pub fn uncounted(&self, ledger: Ledger) -> u32 {
        match (ledger, self.acquired) {
            (Ledger::All, Some(acquired)) => acquired
                .saturating_sub(self.returned)
                .saturating_sub(self.delivery_count),
            _ => 0,
        }
    }

    /// Deliveries whose end nobody has told of.
    pub fn unaccounted(&self, ledger: Ledger) -> u32 {
        match ledger {
            Ledger::None => 0,
            Ledger::Lost | Ledger::Failed | Ledger::All => {
                let failed = self.delivery_count.saturating_sub(self.failed);
                failed
                    .saturating_add(self.uncounted(ledger))
                    .saturating_add(self.lost)
            }
        }
    }

    /// The property of one that is abandoned now.
    pub fn abandoned_again(&self) -> (&'static str, i64) {
        (ABANDONED, i64::from(self.failed) + 1)
    }

    /// What the broker itself has counted.
    pub fn delivery_count(&self) -> u32 {
        self.delivery_count
    }

    /// The annotation of one that failed now.
    pub fn failed_again(&self) -> (&'static str, i64) {
        (FAILED, i64::from(self.failed) + 1)
    }

    /// The annotation of one that goes back unseen now.
    pub fn returned_again(&self) -> (&'static str, i64) {
        (RETURNED, i64::from(self.returned) + 1)
    }

    /// It has been given back so often that a limit of the broker's own may be near
    /// (RabbitMQ 4.0: 20 where the queue says nothing else).
    pub fn is_near_limit(&self, ledger: Ledger) -> bool {
        ledger == Ledger::Failed && self.counted >= 10
    }
}

/// One field of a header as brokers write it, with its constructor, without a look at what it
/// is; `None` for another header, or none at all.
fn header_field(message: &[u8], index: usize) -> Option<&[u8]> {
    fn width(field: &[u8]) -> Option<usize> {
        match field.first()? {
            0x40..=0x45 => Some(1),
            0x50 | 0x52 | 0x56 => Some(2),
            0x70 => Some(5),
            _ => None,
        }
    }
    let list = message.strip_prefix(&[0x00, 0x53, section::HEADER, 0xc0])?;
    let (count, mut fields) = list.get(1..)?.split_first()?;
    if index >= usize::from(*count) {
        return Some(&[0x40]);
    }
    for _ in 0..index {
        fields = fields.get(width(fields)?..)?;
    }
    fields.get(..width(fields)?)
}

pub(super) fn count(value: &Value<'_>) -> u32 {
    value.as_uint().unwrap_or(0).min(u64::from(u32::MAX)) as u32
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
