//! How a queue was declared: RabbitMQ's flags and `x-` arguments.
//!
//! The broker implements every argument that it accepts, and refuses unknown ones instead of
//! ignoring them. It accepts without effect only arguments about where and how RabbitMQ stores a
//! queue.

use serde_amqp::{primitives::OrderedMap, Value};

/// Arguments as they were given, kept for comparison and to answer GET.
pub(crate) type Arguments = OrderedMap<String, Value>;

/// What happens to a message for a full queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Overflow {
    /// Drop the oldest message (RabbitMQ's default).
    #[default]
    DropHead,
    /// Reject the new message with `amqp:resource-limit-exceeded`.
    RejectPublish,
}

/// The returned messages that `x-delayed-retry-type` delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum DelayedRetry {
    #[default]
    Disabled,
    /// Released and modified messages.
    All,
    /// Only those that count as failed.
    Failed,
    /// Only those that do not count as failed.
    Returned,
}

/// A parsed queue declaration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Declaration {
    pub(crate) durable: bool,
    pub(crate) exclusive: bool,
    pub(crate) auto_delete: bool,
    pub(crate) arguments: Arguments,
    /// `x-message-ttl`, milliseconds.
    pub(crate) message_ttl: Option<u64>,
    /// `x-dead-letter-exchange`; empty is the default exchange.
    pub(crate) dead_letter_exchange: Option<String>,
    /// `x-dead-letter-routing-key`
    pub(crate) dead_letter_routing_key: Option<String>,
    /// `x-delivery-limit`; `Some(None)` is an explicit "no limit" (-1).
    pub(crate) delivery_limit: Option<Option<u32>>,
    /// `x-consumer-timeout`, milliseconds.
    pub(crate) consumer_timeout: Option<u64>,
    /// `x-max-length`, in ready messages.
    pub(crate) max_length: Option<u64>,
    /// `x-max-length-bytes`
    pub(crate) max_length_bytes: Option<u64>,
    /// `x-overflow`
    pub(crate) overflow: Overflow,
    /// `x-single-active-consumer`
    pub(crate) single_active_consumer: bool,
    /// `x-queue-type`: kept to answer GET. All queues have the same type here.
    pub(crate) queue_type: Option<String>,
    /// `x-delayed-retry-type`
    pub(crate) delayed_retry: DelayedRetry,
    /// `x-delayed-retry-min`, milliseconds.
    pub(crate) delayed_retry_min: u64,
    /// `x-delayed-retry-max`, milliseconds.
    pub(crate) delayed_retry_max: Option<u64>,
}

impl Declaration {
    /// The declaration of a queue that is created on first use: durable, without arguments.
    pub(crate) fn on_first_use() -> Self {
        Self {
            durable: true,
            ..Self::default()
        }
    }

    /// Parses the arguments. The error is a sentence for status 400.
    pub(crate) fn new(
        durable: bool,
        exclusive: bool,
        auto_delete: bool,
        arguments: Arguments,
    ) -> Result<Self, String> {
        let mut declaration = Self {
            durable,
            exclusive,
            auto_delete,
            ..Self::default()
        };
        for (name, value) in arguments.iter() {
            declaration
                .set(name, value)
                .map_err(|e| format!("invalid argument '{name}': {e}"))?;
        }
        declaration.arguments = arguments;
        Ok(declaration)
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<(), String> {
        match name {
            "x-message-ttl" => self.message_ttl = Some(count(value)?),
            "x-consumer-timeout" => self.consumer_timeout = Some(count(value)?),
            "x-dead-letter-exchange" => self.dead_letter_exchange = Some(text(value)?),
            "x-dead-letter-routing-key" => self.dead_letter_routing_key = Some(text(value)?),
            "x-delivery-limit" => {
                self.delivery_limit = Some(match integer(value)? {
                    -1 => None,
                    limit => Some(u32::try_from(limit).map_err(|_| "out of range")?),
                });
            }
            "x-max-length" => self.max_length = Some(count(value)?),
            "x-max-length-bytes" => self.max_length_bytes = Some(count(value)?),
            "x-overflow" => {
                self.overflow = match text(value)?.as_str() {
                    "drop-head" => Overflow::DropHead,
                    "reject-publish" => Overflow::RejectPublish,
                    other => {
                        return Err(format!("'{other}' is neither drop-head nor reject-publish"))
                    }
                };
            }
            "x-delayed-retry-type" => {
                self.delayed_retry = match text(value)?.as_str() {
                    "disabled" => DelayedRetry::Disabled,
                    "all" => DelayedRetry::All,
                    "failed" => DelayedRetry::Failed,
                    "returned" => DelayedRetry::Returned,
                    other => {
                        return Err(format!(
                            "'{other}' is none of all, failed, returned, disabled"
                        ))
                    }
                };
            }
            "x-delayed-retry-min" => self.delayed_retry_min = count(value)?,
            "x-delayed-retry-max" => self.delayed_retry_max = Some(count(value)?),
            "x-single-active-consumer" => match value {
                Value::Bool(single) => self.single_active_consumer = *single,
                _ => return Err("not a boolean".into()),
            },
            "x-queue-type" => match text(value)?.as_str() {
                known @ ("quorum" | "classic") => self.queue_type = Some(known.into()),
                other => return Err(format!("'{other}' is neither quorum nor classic")),
            },
            "x-dead-letter-strategy"
            | "x-max-priority"
            | "x-queue-leader-locator"
            | "x-queue-mode"
            | "x-queue-version"
            | "x-quorum-initial-group-size"
            | "x-quorum-target-group-size" => {}
            _ => return Err("amqp1-broker does not know it".into()),
        }
        Ok(())
    }

    /// Whether a second declaration describes the same queue. Queue types are not compared, because
    /// all queues have the same type here.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        let compared = |d: &Self| {
            let mut arguments: Vec<_> = d
                .arguments
                .iter()
                .filter(|(name, _)| *name != "x-queue-type")
                .map(|(name, value)| (name.clone(), comparable(value)))
                .collect();
            arguments.sort();
            (d.durable, d.exclusive, d.auto_delete, arguments)
        };
        compared(self) == compared(other)
    }

    /// How long a returned message waits until it is ready again, by `x-delayed-retry-*`: min(min ×
    /// delivery count, max) (<https://www.rabbitmq.com/docs/quorum-queues>).
    pub(crate) fn retry_delay(&self, failed: bool, delivery_count: u32) -> u64 {
        let applies = match self.delayed_retry {
            DelayedRetry::Disabled => false,
            DelayedRetry::All => true,
            DelayedRetry::Failed => failed,
            DelayedRetry::Returned => !failed,
        };
        if !applies {
            return 0;
        }
        self.delayed_retry_min
            .saturating_mul(u64::from(delivery_count.max(1)))
            .min(self.delayed_retry_max.unwrap_or(u64::MAX))
    }
}

/// Makes integers of different widths equal, and symbols equal to strings.
fn comparable(value: &Value) -> Value {
    match (integer(value), text(value)) {
        (Ok(n), _) => Value::Long(n),
        (_, Ok(text)) => Value::String(text),
        _ => value.clone(),
    }
}

/// Any AMQP integer.
pub(crate) fn integer(value: &Value) -> Result<i64, String> {
    match value {
        Value::Long(v) => Ok(*v),
        Value::Ulong(v) => i64::try_from(*v).map_err(|_| "out of range".into()),
        Value::Int(v) => Ok((*v).into()),
        Value::Uint(v) => Ok((*v).into()),
        Value::Short(v) => Ok((*v).into()),
        Value::Ushort(v) => Ok((*v).into()),
        Value::Byte(v) => Ok((*v).into()),
        Value::Ubyte(v) => Ok((*v).into()),
        _ => Err("not an integer".into()),
    }
}

fn count(value: &Value) -> Result<u64, String> {
    u64::try_from(integer(value)?).map_err(|_| "negative".into())
}

/// A string or symbol.
pub(crate) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Symbol(symbol) => Ok(symbol.0.clone()),
        _ => Err("not a string".into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn declare(arguments: &[(&str, Value)]) -> Result<Declaration, String> {
        let arguments = arguments
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.clone()))
            .collect();
        Declaration::new(true, false, false, arguments)
    }

    #[test]
    fn unknown_and_mistyped_arguments_are_refused() {
        assert!(declare(&[("x-expires", Value::Int(1))]).is_err());
        assert!(declare(&[("x-max-length", Value::from("ten"))]).is_err());
        assert!(declare(&[("x-max-length", Value::Int(-1))]).is_err());
        assert!(declare(&[("x-overflow", Value::from("explode"))]).is_err());
        assert!(declare(&[("x-queue-type", Value::from("stream"))]).is_err());
    }

    #[test]
    fn declarations_are_compared_by_meaning() {
        let a = declare(&[
            ("x-max-length", Value::Int(5)),
            ("x-overflow", "drop-head".into()),
        ]);
        let b = declare(&[
            ("x-queue-type", Value::from("quorum")),
            ("x-overflow", Value::Symbol("drop-head".into())),
            ("x-max-length", Value::Ulong(5)),
        ]);
        let c = declare(&[("x-max-length", Value::Int(6))]);
        assert!(a.clone().unwrap().same_as(&b.unwrap()));
        assert!(!a.unwrap().same_as(&c.unwrap()));
    }

    #[test]
    fn delayed_retry_grows_to_its_maximum() {
        let d = declare(&[
            ("x-delayed-retry-type", Value::from("failed")),
            ("x-delayed-retry-min", Value::Int(100)),
            ("x-delayed-retry-max", Value::Int(250)),
        ])
        .unwrap();
        assert_eq!(d.retry_delay(true, 1), 100);
        assert_eq!(d.retry_delay(true, 2), 200);
        assert_eq!(d.retry_delay(true, 3), 250);
        assert_eq!(d.retry_delay(false, 3), 0);
    }
}
