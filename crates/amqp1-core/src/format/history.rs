//! A message's earlier deliveries, as the message records them.
//!
//! Brokers count deliveries, not attempts. When a process is killed, every job in its buffer counts
//! as delivered, not only the one being processed. RabbitMQ 4.3 also counts deliveries that the
//! consumer timeout takes back. Therefore, every end that the client knows of, a failure or an
//! unseen return, is recorded in the message's annotations, if the broker keeps them. The remaining
//! deliveries are unaccounted for: the job was being processed, or only waited in the same buffer.

use bytes::Bytes;

use crate::wire::message::{section, Header, Message};
use crate::wire::read::Encoded;
use crate::wire::DecodeError;

/// Deliveries that ended as a failed attempt, with `modified`.
pub(crate) const FAILED: &str = "x-opt-amqp1-failed";

/// Deliveries that were returned before any worker saw them.
pub(crate) const RETURNED: &str = "x-opt-amqp1-returned";

/// Deliveries that ended as a failed attempt, for Service Bus: there, `modified` changes
/// application properties.
pub(crate) const ABANDONED: &str = "rr_abandoned";

/// Why the job was released last (text): an annotation, if the broker keeps ours.
pub(crate) const RELEASED: &str = "x-opt-amqp1-released";

/// The same, as an application property of copies and on Service Bus.
pub(crate) const RELEASED_PROPERTY: &str = "rr_released";

/// In a copy, which has a new count: deliveries of the original that ended without an outcome.
pub(crate) const LOST: &str = "rr_lost";

/// RabbitMQ 4.3, quorum queues: deliveries of any kind.
const ACQUIRED: &str = "x-acquired-count";

/// RabbitMQ 4.0, quorum queues: deliveries that count towards `x-delivery-limit`.
const COUNTED: &str = "x-delivery-count";

/// Which deliveries a broker counts, and whether it keeps our records of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Ledger {
    /// It counts nothing that describes a job's past.
    #[default]
    None,
    /// It counts lost deliveries. A failed attempt becomes a copy, whose count starts at zero, or
    /// is recorded outside the annotations ([`ABANDONED`]).
    Lost,
    /// It counts failed ones: by a lost connection or by `modified`. It keeps our annotations.
    Failed,
    /// It also counts returned ones.
    All,
}

/// The earlier deliveries of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct History {
    /// From the header.
    delivery_count: u32,
    acquired: Option<u32>,
    counted: u32,
    failed: u32,
    returned: u32,
    /// Those of the original, if this message is a copy.
    lost: u32,
}

impl History {
    /// Reads a message's history. Unreadable annotations count as absent.
    pub fn of(message: &Message, header: &Header) -> Self {
        let mut history = Self {
            delivery_count: header.delivery_count,
            ..Self::default()
        };
        // The usual case: nobody has had the message before.
        if header.first_acquirer && header.delivery_count == 0 {
            return history;
        }
        if let Ok(Some(mut items)) = message.annotations() {
            while let Ok(Some((key, value))) = items.named() {
                match key {
                    Some(key) if key == ACQUIRED.as_bytes() => {
                        history.acquired = Some(count(value))
                    }
                    Some(key) if key == COUNTED.as_bytes() => history.counted = count(value),
                    Some(key) if key == FAILED.as_bytes() => history.failed = count(value),
                    Some(key) if key == RETURNED.as_bytes() => history.returned = count(value),
                    _ => {}
                }
            }
        }
        history
    }

    /// The history of a message whose broker does not keep our annotations, from its application
    /// properties.
    pub fn told(header: &Header, abandoned: u32, lost: u32) -> Self {
        Self {
            delivery_count: header.delivery_count,
            failed: abandoned,
            lost,
            ..Self::default()
        }
    }

    /// Reads the history of a raw message; empty if it cannot be decoded.
    pub fn peek(payload: &Bytes, ledger: Ledger) -> Self {
        // One field identifies the usual case. Not all brokers set first-acquirer.
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

    /// Reads the arguments of [`History::told`] from the application properties.
    fn counted(message: &Message, header: &Header) -> Result<Self, DecodeError> {
        let mut history = Self::told(header, 0, 0);
        if let Some(mut items) = message.application_properties()? {
            while let Some((key, value)) = items.named()? {
                match key {
                    Some(key) if key == ABANDONED.as_bytes() => history.failed = count(value),
                    Some(key) if key == LOST.as_bytes() => history.lost = count(value),
                    _ => {}
                }
            }
        }
        Ok(history)
    }

    /// Deliveries that the header's delivery-count omits and that a worker may have seen.
    pub fn uncounted(&self, ledger: Ledger) -> u32 {
        match (ledger, self.acquired) {
            (Ledger::All, Some(acquired)) => acquired
                .saturating_sub(self.returned)
                .saturating_sub(self.delivery_count),
            _ => 0,
        }
    }

    /// Deliveries whose end is not recorded.
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

    /// The property for one more abandoned delivery.
    pub fn abandoned_again(&self) -> (&'static str, i64) {
        (ABANDONED, i64::from(self.failed) + 1)
    }

    /// The broker's own count.
    pub fn delivery_count(&self) -> u32 {
        self.delivery_count
    }

    /// The annotation for one more failed delivery.
    pub fn failed_again(&self) -> (&'static str, i64) {
        (FAILED, i64::from(self.failed) + 1)
    }

    /// The annotation for one more unseen return.
    pub fn returned_again(&self) -> (&'static str, i64) {
        (RETURNED, i64::from(self.returned) + 1)
    }

    /// Whether it was returned so often that the broker's own limit may be near (RabbitMQ 4.0: 20
    /// by default).
    pub fn is_near_limit(&self, ledger: Ledger) -> bool {
        ledger == Ledger::Failed && self.counted >= 10
    }
}

/// One field of a header in brokers' usual encoding, with its constructor, undecoded; `None` for
/// any other header, or if there is none.
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

pub(super) fn count(value: Encoded<'_>) -> u32 {
    value.as_uint().unwrap_or(0).min(u64::from(u32::MAX)) as u32
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
