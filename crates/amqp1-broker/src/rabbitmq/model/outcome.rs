//! Outcomes of deliveries to consumers (AMQP 1.0 section 3.4), and why messages are dead-lettered.

use fe2o3_amqp_types::{
    definitions::{Error, Fields},
    messaging::{DeliveryState, Outcome as Terminal},
};
use serde_amqp::{primitives::Symbol, Value};

use super::arguments::text;
use super::message::Message;

/// A terminal outcome, with which a consumer settles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    Rejected(Option<Error>),
    Released,
    Modified {
        delivery_failed: bool,
        undeliverable_here: bool,
        annotations: Option<Fields>,
    },
}

impl Outcome {
    /// `None` for a state that is not terminal (`received`).
    pub(crate) fn from_state(state: DeliveryState) -> Option<Self> {
        Some(match state {
            DeliveryState::Accepted(_) => Self::Accepted,
            DeliveryState::Rejected(rejected) => Self::Rejected(rejected.error),
            DeliveryState::Released(_) => Self::Released,
            DeliveryState::Modified(modified) => Self::Modified {
                delivery_failed: modified.delivery_failed.unwrap_or(false),
                undeliverable_here: modified.undeliverable_here.unwrap_or(false),
                annotations: modified.message_annotations,
            },
            _ => return None,
        })
    }

    /// A source's default outcome (section 3.5.3), for deliveries that are settled without a state.
    pub(crate) fn from_default(outcome: &Terminal) -> Option<Self> {
        Self::from_state(outcome.clone().into())
    }
}

/// How a consumer lost a message without settling it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The link was detached: delivery-count stays (RabbitMQ 4.3, quorum queues).
    Detached,
    /// The connection or the session ended: delivery-count + 1.
    Connection,
}

/// A message that leaves its queue without being consumed.
#[derive(Debug, Clone)]
pub(crate) struct Dead {
    pub(crate) message: Message,
    pub(crate) cause: Cause,
    /// Queues that the message has left for a reason other than a consumer's outcome. If it would
    /// reach one of them again, it is dropped: RabbitMQ breaks cycles in the same way.
    pub(crate) trail: Vec<std::sync::Arc<str>>,
}

/// Why the message leaves its queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A consumer rejected it, or modified it as undeliverable here.
    Rejected(Option<Error>),
    /// Its time to live has expired.
    Expired,
    /// It was redelivered more often than `x-delivery-limit` allows.
    DeliveryLimit,
    /// The queue was full.
    MaxLength,
}

impl Cause {
    /// Whether a consumer caused it. Then there is a dead-letter queue even without configuration.
    pub(crate) fn by_consumer(&self) -> bool {
        matches!(self, Self::Rejected(_) | Self::DeliveryLimit)
    }

    /// The message annotations that state the cause.
    pub(crate) fn annotations(&self, source: &str) -> Vec<(Symbol, Value)> {
        let (reason, description) = match self {
            Self::Expired => ("expired".to_owned(), None),
            Self::DeliveryLimit => ("delivery_limit".to_owned(), None),
            Self::MaxLength => ("maxlen".to_owned(), None),
            Self::Rejected(None) => ("rejected".to_owned(), None),
            Self::Rejected(Some(error)) => {
                let info = |key: &str| {
                    let value = error.info.as_ref()?.get(key)?;
                    text(value).ok()
                };
                let condition = serde_amqp::to_value(&error.condition)
                    .ok()
                    .and_then(|v| text(&v).ok())
                    .unwrap_or_else(|| "rejected".to_owned());
                (
                    info("DeadLetterReason").unwrap_or(condition),
                    info("DeadLetterErrorDescription").or_else(|| error.description.clone()),
                )
            }
        };
        let mut annotations = vec![
            (Symbol::from("x-opt-deadletter-source"), Value::from(source)),
            (Symbol::from("x-opt-deadletter-reason"), Value::from(reason)),
        ];
        if let Some(description) = description {
            annotations.push((
                Symbol::from("x-opt-deadletter-description"),
                Value::from(description),
            ));
        }
        annotations
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::rabbitmq::model::errors;

    fn texts(cause: &Cause) -> Vec<(String, String)> {
        cause
            .annotations("q")
            .into_iter()
            .map(|(k, v)| (k.0, text(&v).unwrap()))
            .collect()
    }

    #[test]
    fn the_rejecting_error_is_the_dead_letter_reason() {
        let error = errors::precondition_failed("boom");
        assert_eq!(
            texts(&Cause::Rejected(Some(error.clone())))[1..],
            [
                (
                    "x-opt-deadletter-reason".into(),
                    "amqp:precondition-failed".into()
                ),
                ("x-opt-deadletter-description".into(), "boom".into()),
            ]
        );
        let mut info = Fields::new();
        info.insert("DeadLetterReason".into(), Value::from("Bad"));
        info.insert("DeadLetterErrorDescription".into(), Value::from("very"));
        let error = Error::new(error.condition, Some("boom".into()), info);
        assert_eq!(
            texts(&Cause::Rejected(Some(error))),
            [
                ("x-opt-deadletter-source".into(), "q".into()),
                ("x-opt-deadletter-reason".into(), "Bad".into()),
                ("x-opt-deadletter-description".into(), "very".into()),
            ]
        );
    }
}
