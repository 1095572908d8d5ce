//! Options for declaring a queue, its exchange and its bindings. Their names follow RabbitMQ's, and
//! they are checked before anything is sent.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::settings::input::Input;
use crate::settings::suggest::unknown_option;

/// The type that a queue is declared with (RabbitMQ).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QueueType {
    /// Replicated, and counts deliveries: the default.
    #[default]
    Quorum,
    /// A classic queue.
    Classic,
}

impl QueueType {
    /// The value of `x-queue-type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            QueueType::Quorum => "quorum",
            QueueType::Classic => "classic",
        }
    }
}

/// What happens to a job for a full queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The oldest job is dropped or dead-lettered to make room: RabbitMQ's default.
    DropHead,
    /// The new job is refused: `push()` throws.
    RejectPublish,
}

impl Overflow {
    /// The value of `x-overflow`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Overflow::DropHead => "drop-head",
            Overflow::RejectPublish => "reject-publish",
        }
    }
}

/// One binding of the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// The exchange; default: the option `exchange`.
    pub exchange: Option<String>,
    /// The binding key. Default: empty.
    pub routing_key: String,
    /// Binding arguments, for a headers exchange.
    pub arguments: Vec<(String, Input)>,
}

/// How the queue and its bindings are declared.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopologyOptions {
    /// The queue's type. Default: quorum; classic if it is exclusive or not durable.
    pub queue_type: Option<QueueType>,
    /// Queue arguments without an option of their own.
    pub arguments: Vec<(String, Input)>,
    /// Bindings instead of the default one, of `exchange` with `routing_key`.
    pub bindings: Option<Vec<Binding>>,
    /// The most jobs that may wait. Default: no limit.
    pub max_length: Option<u64>,
    /// What happens beyond `max_length`. Default: the broker's, which is `drop-head`.
    pub overflow: Option<Overflow>,
    /// The exchange to which the broker sends jobs that were rejected, have expired or had no room.
    /// Empty: the default exchange, which routes by queue name. Default: none.
    pub dead_letter_exchange: Option<String>,
    /// The routing key for that exchange; default: the job's own.
    pub dead_letter_routing_key: Option<String>,
    /// Whether only one consumer at a time is served, the next one when it leaves. Default false.
    pub single_active_consumer: bool,
    /// The highest priority in a classic queue; higher ones are reduced to it. Default: none.
    pub max_priority: Option<u8>,
    /// How long a consumer may hold a job before the broker takes it back. Default: the broker's,
    /// which is 30 minutes.
    pub consumer_timeout: Option<Duration>,
}

impl TopologyOptions {
    /// Sets one of these options.
    pub(crate) fn set(&mut self, name: &str, value: &Input, path: &str) -> Result<()> {
        match name {
            "queue_type" => self.queue_type = Some(queue_type(&value.text(path)?, path)?),
            "arguments" => {
                self.arguments = value.map(path)?.to_vec();
                if let Some(Input::Text(text)) = self.argument("x-queue-type") {
                    queue_type(text, &format!("{path}.x-queue-type"))?;
                }
            }
            "bindings" => self.bindings = Some(bindings(value, path)?),
            "max_length" => self.max_length = Some(value.int(path, 1..=i64::MAX)? as u64),
            "overflow" => self.overflow = Some(overflow(&value.text(path)?, path)?),
            "dead_letter_exchange" => self.dead_letter_exchange = Some(value.text(path)?),
            "dead_letter_routing_key" => self.dead_letter_routing_key = Some(value.text(path)?),
            "single_active_consumer" => self.single_active_consumer = value.bool(path)?,
            "consumer_timeout" => self.consumer_timeout = Some(consumer_timeout(value, path)?),
            "max_priority" => self.max_priority = Some(value.int(path, 1..=255)? as u8),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn argument(&self, name: &str) -> Option<&Input> {
        let mut arguments = self.arguments.iter();
        arguments.find_map(|(known, value)| (known == name).then_some(value))
    }

    /// How long a consumer may hold a job, if set.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        let argument = match self.argument("x-consumer-timeout") {
            Some(Input::Int(time)) => u64::try_from(*time).ok().map(Duration::from_millis),
            _ => None,
        };
        self.consumer_timeout.or(argument)
    }

    /// The queue arguments for these options, with the options' names.
    pub(super) fn named(&self) -> Vec<(&'static str, &'static str, Input)> {
        let text = |text: &str| Input::Text(text.to_owned());
        let number = |number: u64| Input::Int(i64::try_from(number).unwrap_or(i64::MAX));
        [
            (
                "queue_type",
                "x-queue-type",
                self.queue_type.map(|kind| text(kind.as_str())),
            ),
            ("max_length", "x-max-length", self.max_length.map(number)),
            (
                "overflow",
                "x-overflow",
                self.overflow.map(|overflow| text(overflow.as_str())),
            ),
            (
                "dead_letter_exchange",
                "x-dead-letter-exchange",
                self.dead_letter_exchange.as_deref().map(text),
            ),
            (
                "dead_letter_routing_key",
                "x-dead-letter-routing-key",
                self.dead_letter_routing_key.as_deref().map(text),
            ),
            (
                "single_active_consumer",
                "x-single-active-consumer",
                self.single_active_consumer.then_some(Input::Bool(true)),
            ),
            (
                "max_priority",
                "x-max-priority",
                self.max_priority.map(|highest| number(highest.into())),
            ),
            (
                "consumer_timeout",
                "x-consumer-timeout",
                self.consumer_timeout.map(|time| number(milliseconds(time))),
            ),
        ]
        .into_iter()
        .filter_map(|(option, argument, value)| Some((option, argument, value?)))
        .collect()
    }

    /// All requested arguments.
    pub(crate) fn asked(&self) -> Vec<(String, Input)> {
        let named = self.named().into_iter();
        let named = named.map(|(_, argument, value)| (argument.to_owned(), value));
        self.arguments.iter().cloned().chain(named).collect()
    }
}

/// How long a consumer may hold a job.
pub(crate) fn consumer_timeout(value: &Input, path: &str) -> Result<Duration> {
    let time = value.seconds(path)?;
    if milliseconds(time) == 0 {
        return Err(Error::config(format!(
            "{path}: must be more than 0 seconds; remove it to keep the broker's own limit"
        )));
    }
    Ok(time)
}

/// In the broker's unit.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn queue_type(text: &str, path: &str) -> Result<QueueType> {
    match text {
        "quorum" => Ok(QueueType::Quorum),
        "classic" => Ok(QueueType::Classic),
        "stream" => Err(Error::config(format!(
            "{path}: a stream keeps messages after they are settled, so it cannot be a job queue; use 'quorum' or 'classic'"
        ))),
        other => Err(Error::config(format!(
            "{path}: expected 'quorum' or 'classic', got '{other}'"
        ))),
    }
}

fn overflow(text: &str, path: &str) -> Result<Overflow> {
    match text {
        "drop-head" => Ok(Overflow::DropHead),
        "reject-publish" => Ok(Overflow::RejectPublish),
        other => Err(Error::config(format!(
            "{path}: expected 'drop-head' or 'reject-publish', got '{other}'"
        ))),
    }
}

/// RabbitMQ's exchange types, and those of plugins (`x-…`).
pub(crate) fn exchange_type(text: String, path: &str) -> Result<String> {
    const KNOWN: [&str; 4] = ["direct", "fanout", "topic", "headers"];
    if KNOWN.contains(&text.as_str()) || text.starts_with("x-") {
        return Ok(text);
    }
    Err(Error::config(format!(
        "{path}: expected 'direct', 'fanout', 'topic', 'headers', or a plugin's type such as 'x-delayed-message', got '{text}'"
    )))
}

fn bindings(value: &Input, path: &str) -> Result<Vec<Binding>> {
    let keys = |key: String| Binding {
        exchange: None,
        routing_key: key,
        arguments: Vec::new(),
    };
    match value {
        Input::List(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let path = &format!("{path}[{index}]");
                match item {
                    Input::Map(_) => binding(item, path),
                    key => key.text(path).map(keys),
                }
            })
            .collect(),
        Input::Text(key) => Ok(vec![keys(key.clone())]),
        _ => Err(Error::config(format!(
            "{path}: expected a list of routing keys, or of arrays with 'exchange', 'routing_key' and 'arguments'"
        ))),
    }
}

fn binding(value: &Input, path: &str) -> Result<Binding> {
    const NAMES: [&str; 3] = ["exchange", "routing_key", "arguments"];
    let mut binding = Binding {
        exchange: None,
        routing_key: String::new(),
        arguments: Vec::new(),
    };
    for (key, value) in value.map(path)? {
        let path = &format!("{path}.{key}");
        match (key.as_str(), value) {
            (key, _) if !NAMES.contains(&key) => {
                return Err(Error::config(unknown_option(path, key, &NAMES)))
            }
            (_, Input::Null) => {}
            ("exchange", value) => binding.exchange = Some(value.text(path)?),
            ("routing_key", value) => binding.routing_key = value.text(path)?,
            (_, value) => binding.arguments = value.map(path)?.to_vec(),
        }
    }
    if binding.exchange.as_deref() == Some("") {
        return Err(Error::config(format!(
            "{path}.exchange: the default exchange has no bindings: it routes by queue name"
        )));
    }
    Ok(binding)
}
