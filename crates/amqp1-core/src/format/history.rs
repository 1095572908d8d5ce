//! What a message says of its earlier deliveries.
//!
//! Brokers count deliveries, not attempts. When a process is killed, each job in its buffer
//! counts as delivered, like the one it was killed at; RabbitMQ 4.3 counts what the consumer
//! timeout takes back the same way. So each end that we know of is written into the message's
//! annotations, where the broker keeps those: that it failed, or that it went back unseen.
//! What is left over nobody accounted for: it was being worked on, or it only waited nearby.

use bytes::Bytes;

use crate::wire::message::{section, Header, Message};
use crate::wire::read::{Reader, Value};

/// Deliveries that ended as a failed attempt, by `modified`.
pub(crate) const FAILED: &str = "x-opt-amqp1-failed";

/// Deliveries that went back before anybody saw them.
pub(crate) const RETURNED: &str = "x-opt-amqp1-returned";

/// RabbitMQ 4.3, quorum queues: deliveries of every kind.
const ACQUIRED: &str = "x-acquired-count";

/// RabbitMQ 4.0, quorum queues: what counts to `x-delivery-limit`.
const COUNTED: &str = "x-delivery-count";

/// Which deliveries a broker counts, and keeps our annotations of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Ledger {
    /// It does not keep them: its count is taken for attempts.
    #[default]
    None,
    /// Failed ones: a lost connection's and `modified`.
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
                let count = || value.as_uint().unwrap_or(0).min(u64::from(u32::MAX)) as u32;
                match key.as_text() {
                    Some(ACQUIRED) => history.acquired = Some(count()),
                    Some(COUNTED) => history.counted = count(),
                    Some(FAILED) => history.failed = count(),
                    Some(RETURNED) => history.returned = count(),
                    _ => {}
                }
            }
        }
        history
    }

    /// Of a message that nobody has looked into; empty for one that cannot be read.
    pub fn peek(payload: &Bytes) -> Self {
        let first_acquirer = || {
            let mut reader = Reader::new(payload);
            if reader.descriptor().ok()? != u64::from(section::HEADER) {
                return None;
            }
            let Value::List(mut fields) = reader.value().ok()? else {
                return None;
            };
            let first_acquirer = fields.nth(3)?.ok()?;
            Some(matches!(first_acquirer, Value::Bool(true)))
        };
        if first_acquirer().unwrap_or(false) {
            return Self::default();
        }
        let Ok(message) = Message::parse(payload.clone()) else {
            return Self::default();
        };
        message
            .header()
            .map_or_else(|_| Self::default(), |header| Self::of(&message, &header))
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
            Ledger::Failed | Ledger::All => {
                let failed = self.delivery_count.saturating_sub(self.failed);
                failed.saturating_add(self.uncounted(ledger))
            }
        }
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

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
