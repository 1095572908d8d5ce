//! A message in its queue, with the service's data about it.

use serde_amqp::primitives::Timestamp;
use serde_amqp::Value;

use super::message::{Message, Stamp};
use super::token::LockToken;
use crate::servicebus::facts::{annotation, state};

/// Whether a message can be received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Active,
    /// Only by its sequence number.
    Deferred,
    /// From this time on, in Unix milliseconds.
    Scheduled(u64),
}

/// A receiver's hold on a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) token: LockToken,
    /// Unix milliseconds; `None`: as long as the session's lock, or (receive and delete) until the
    /// message is sent.
    pub(crate) until: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) message: Message,
    pub(crate) enqueued_at: u64,
    /// The sequence number of its first enqueuing.
    pub(crate) enqueue_sequence: i64,
    pub(crate) delivery_count: u32,
    pub(crate) state: State,
    pub(crate) lock: Option<Lock>,
    /// Unix milliseconds.
    pub(crate) expires_at: Option<u64>,
}

impl Entry {
    /// When its next timer expires.
    pub(crate) fn due(&self) -> Option<u64> {
        match (self.lock, self.state) {
            (Some(lock), _) => lock.until,
            (None, State::Scheduled(at)) => Some(at),
            (None, _) => self.expires_at,
        }
    }

    /// Whether it can be received.
    pub(crate) fn is_ready(&self) -> bool {
        self.state == State::Active && self.lock.is_none()
    }

    /// The broker's data for a delivery, or for an answer to peek.
    pub(crate) fn stamp(&self, sequence: i64, locked_until: Option<u64>) -> Stamp {
        let mut annotations = vec![
            (annotation::ENQUEUED_TIME, timestamp(self.enqueued_at)),
            (annotation::SEQUENCE_NUMBER, Value::Long(sequence)),
            (
                annotation::ENQUEUE_SEQUENCE_NUMBER,
                Value::Long(self.enqueue_sequence),
            ),
            (
                annotation::MESSAGE_STATE,
                Value::Int(match self.state {
                    State::Active => state::ACTIVE,
                    State::Deferred => state::DEFERRED,
                    State::Scheduled(_) => state::SCHEDULED,
                }),
            ),
        ];
        if let Some(until) = locked_until {
            annotations.push((annotation::LOCKED_UNTIL, timestamp(until)));
        }
        Stamp {
            delivery_count: self.delivery_count,
            annotations,
            lock: None,
        }
    }
}

/// Converts Unix milliseconds to an AMQP timestamp.
pub(crate) fn timestamp(ms: u64) -> Value {
    Value::Timestamp(Timestamp::from(i64::try_from(ms).unwrap_or(i64::MAX)))
}
