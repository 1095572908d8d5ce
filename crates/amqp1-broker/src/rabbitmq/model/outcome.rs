//! Outcomes of deliveries to consumers (AMQP 1.0 section 3.4), and what becomes of dead messages.

use fe2o3_amqp_types::{
    definitions::{Error, Fields},
    messaging::{DeliveryState, Outcome as Terminal},
};
use serde_amqp::{primitives::Symbol, Value};

use super::arguments::text;
use super::message::Message;

/// A terminal outcome, as a consumer settles with.
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

    /// A source's default outcome (section 3.5.3), which holds for deliveries that are settled
    /// without a state.
    pub(crate) fn from_default(outcome: &Terminal) -> Option<Self> {
        Self::from_state(outcome.clone().into())
    }
}

/// How a consumer came to hold a message no more without having settled it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The link was detached: delivery-count stays (RabbitMQ 4.3, quorum queues).
    Detached,
    /// The connection or the session ended: delivery-count + 1.
    Connection,
}

/// A message that its queue gives up.
#[derive(Debug, Clone)]
pub(crate) struct Dead {
    pub(crate) message: Message,
    pub(crate) cause: Cause,
    /// Queues it was in and was given up by without a consumer's doing; a message that would come
    /// to one of them again is dropped, as RabbitMQ breaks such cycles.
    pub(crate) trail: Vec<std::sync::Arc<str>>,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A consumer rejected it, or modified it as undeliverable here.
    Rejected(Option<Error>),
    /// Its time to live is over.
    Expired,
    /// It was redelivered more often than `x-delivery-limit`.
    DeliveryLimit,
    /// The queue was full.
    MaxLength,
}

impl Cause {
    /// A consumer's doing, for which there is a dead-letter queue even if none is configured.
    pub(crate) fn by_consumer(&self) -> bool {
        matches!(self, Self::Rejected(_) | Self::DeliveryLimit)
    }

    /// The message annotations that say it.
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
