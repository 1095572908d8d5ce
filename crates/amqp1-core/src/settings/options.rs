//! The options of queues and consumers: names, defaults, checks.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::format::Format;
use crate::job::properties::JobProperties;
use crate::settings::input::Input;
use crate::settings::place::Place;
use crate::settings::retry::RetryOptions;
use crate::settings::suggest::unknown_option;
pub use crate::settings::tls_options::TlsOptions;
use crate::settings::token::{Token, TokenOption};
use crate::settings::topology_options::{consumer_timeout, exchange_type, TopologyOptions};

/// The default timeout of a call (`amqp1.timeout` in php.ini overrides it).
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The kind of broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DialectOption {
    /// Detected from the DSN and from the broker's own description.
    #[default]
    Auto,
    /// Service Bus, or a broker that behaves like it.
    ServiceBus,
}

impl DialectOption {
    /// The embedded broker's options for this dialect.
    ///
    /// # Errors
    /// If the dialect is not built in.
    pub(crate) fn embedded(self) -> Result<amqp1_broker::Options> {
        let dialect = match self {
            Self::Auto => "rabbitmq",
            Self::ServiceBus => "servicebus",
        };
        amqp1_broker::Options::of_dialect(dialect).ok_or_else(|| {
            Error::config(format!(
                "DSN: embedded:// with dialect '{dialect}' is left out of this build (cargo feature '{dialect}-emulator'); run amqp1-broker and connect to it instead"
            ))
        })
    }
}

/// The order in which an endpoint's hosts are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HostOrder {
    /// Each process has its own order, so that many processes spread over the hosts.
    #[default]
    Random,
    /// The written order: the first host that opens is used.
    Given,
}

/// The options of an `AmqpQueue`.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueOptions {
    /// The pipeline's name; default: the queue's name.
    pub name: Option<String>,
    /// Deadline of each blocking call. Default 30 s, or `amqp1.timeout`.
    pub timeout: Duration,
    /// How long the client tries to reconnect before a call fails. Default 60 s.
    pub redial_timeout: Duration,
    /// The order in which hosts are tried. Default: each process has its own.
    pub host_order: HostOrder,
    /// The idle timeout that the client announces to the broker. Default 60 s.
    pub heartbeat: Duration,
    /// Prefix of the AMQP container-id. Default `amqp1-php`.
    pub container_id: Option<String>,
    /// The exchange to publish to, instead of directly to the queue (RabbitMQ).
    pub exchange: Option<String>,
    /// The exchange's type, for `setup()` and `x-delayed-message`. Default `direct`.
    pub exchange_type: String,
    /// The routing key for the exchange; default: the queue's name.
    pub routing_key: Option<String>,
    /// Whether to declare missing entities before the first use, if the broker can. Default true.
    pub declare: bool,
    /// How the queue and its bindings are declared.
    pub topology: TopologyOptions,
    /// Whether jobs survive a broker restart, unless a job sets its own value. Default true.
    pub durable: bool,
    /// Whether the queue is declared for this connection only. Default false.
    pub exclusive: bool,
    /// The number of jobs in flight to one consumer. Default: adapted to how long jobs take.
    pub prefetch: Option<u32>,
    /// Priority of jobs that set none. Default: AMQP's 4.
    pub priority: Option<u8>,
    /// Delay of jobs that set none.
    pub delay: Option<Duration>,
    /// Time to live of jobs that set none.
    pub ttl: Option<Duration>,
    /// The format of new jobs; all formats are read. Default `roadrunner`.
    pub format: Format,
    /// How failed jobs are handled.
    pub retry: RetryOptions,
    /// TLS files.
    pub tls: TlsOptions,
    /// The kind of broker. Default: detected.
    pub dialect: DialectOption,
    /// Tokens instead of a key (Service Bus).
    pub token: Option<TokenOption>,
    /// How long the locks of processed and buffered jobs are renewed in the background (Service
    /// Bus). Default 300 s; zero: never.
    pub max_lock_renewal: Duration,
    /// Message properties of jobs that do not set them.
    pub properties: Option<Box<JobProperties<'static>>>,
    /// The number of the application's observer, zero if it has none.
    pub observer: u64,
    /// The number of its logger, zero if it has none.
    pub logger: u64,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            name: None,
            timeout: DEFAULT_TIMEOUT,
            redial_timeout: Duration::from_secs(60),
            host_order: HostOrder::default(),
            heartbeat: Duration::from_secs(60),
            container_id: None,
            exchange: None,
            exchange_type: "direct".to_owned(),
            routing_key: None,
            declare: true,
            topology: TopologyOptions::default(),
            durable: true,
            exclusive: false,
            prefetch: None,
            priority: None,
            delay: None,
            ttl: None,
            format: Format::default(),
            retry: RetryOptions::default(),
            tls: TlsOptions::default(),
            dialect: DialectOption::Auto,
            token: None,
            max_lock_renewal: Duration::from_secs(300),
            properties: None,
            observer: 0,
            logger: 0,
        }
    }
}

impl QueueOptions {
    /// The names of the options in PHP.
    pub const NAMES: &'static [&'static str] = &[
        "name",
        "timeout",
        "redial_timeout",
        "host_order",
        "heartbeat",
        "container_id",
        "exchange",
        "exchange_type",
        "routing_key",
        "declare",
        "queue_type",
        "arguments",
        "bindings",
        "max_length",
        "overflow",
        "dead_letter_exchange",
        "dead_letter_routing_key",
        "single_active_consumer",
        "max_priority",
        "consumer_timeout",
        "durable",
        "exclusive",
        "prefetch",
        "priority",
        "delay",
        "ttl",
        "format",
        "max_attempts",
        "backoff",
        "failed_queue",
        "requeue_on_fail",
        "tls",
        "dialect",
        "token",
        "max_lock_renewal",
        "content_type",
        "content_encoding",
        "reply_to",
        "user_id",
        "observer",
        "logger",
    ];

    /// Applies the options written at `place` to `self`, which contains the defaults. `null` keeps
    /// a default.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for an unknown name (the message suggests the nearest one) or
    /// an invalid value.
    pub fn apply<'a>(mut self, place: impl Into<Place<'a>>, input: &Input) -> Result<Self> {
        let place = place.into();
        for (key, value) in input.map(place.name())? {
            let path = &place.entry(key);
            if !Self::NAMES.contains(&key.as_str()) {
                return Err(Error::config(place.unknown(key, Self::NAMES)));
            }
            if *value == Input::Null {
                continue;
            }
            match key.as_str() {
                "name" => self.name = Some(value.not_empty(path)?),
                "timeout" => self.timeout = value.seconds(path)?,
                "redial_timeout" => self.redial_timeout = value.seconds(path)?,
                "host_order" => self.host_order = host_order(&value.text(path)?, path)?,
                "heartbeat" => {
                    self.heartbeat = value.seconds(path)?;
                    if self.heartbeat < Duration::from_secs(1) {
                        return Err(Error::config(format!("{path}: must be at least 1 second")));
                    }
                }
                "container_id" => self.container_id = Some(value.not_empty(path)?),
                "exchange" => self.exchange = Some(value.text(path)?).filter(|x| !x.is_empty()),
                "exchange_type" => self.exchange_type = exchange_type(value.text(path)?, path)?,
                "routing_key" => self.routing_key = Some(value.text(path)?),
                "declare" => self.declare = value.bool(path)?,
                "durable" => self.durable = value.bool(path)?,
                "exclusive" => self.exclusive = value.bool(path)?,
                "prefetch" => self.prefetch = Some(value.int(path, 1..=65_535)? as u32),
                "priority" => self.priority = Some(value.int(path, 0..=255)? as u8),
                "delay" => self.delay = Some(value.seconds(path)?),
                "ttl" => self.ttl = Some(value.seconds(path)?),
                "format" => self.format = format(&value.text(path)?, path)?,
                "tls" => self.tls = TlsOptions::read(value, path)?,
                "dialect" => self.dialect = dialect(&value.text(path)?, path)?,
                "token" => self.token = Some(token(value, path)?),
                "max_lock_renewal" => self.max_lock_renewal = value.seconds(path)?,
                // The caller reads objects.
                "observer" => return Err(no_object(path, "an Amqp1\\Observer", "setObserver")),
                "logger" => return Err(no_object(path, "a PSR-3 logger", "setLogger")),
                name => {
                    let is_read = self.retry.read(name, value, path)?
                        || self.read_property(name, value, path)?;
                    if !is_read {
                        self.topology.set(name, value, path)?;
                    }
                }
            }
        }
        Ok(self)
    }

    /// The options of a related queue, such as the failed queue. It has the same queue type.
    pub(crate) fn beside(&self) -> Self {
        Self {
            topology: TopologyOptions {
                queue_type: self.topology.queue_type,
                ..TopologyOptions::default()
            },
            ..Self::default()
        }
    }

    /// The priority of jobs that set none. A queue with `max_priority` would treat such a job as
    /// priority 0.
    pub(crate) fn usual_priority(&self) -> Option<u8> {
        let default = self.topology.max_priority.map(|_| 4);
        self.priority.or(default)
    }
}

fn no_object(path: &str, expected: &str, function: &str) -> Error {
    Error::config(format!(
        "{path}: expected {expected}, an object; call Amqp1\\{function}(), or pass it to new AmqpQueue()"
    ))
}

fn host_order(text: &str, path: &str) -> Result<HostOrder> {
    match text {
        "random" => Ok(HostOrder::Random),
        "given" => Ok(HostOrder::Given),
        other => Err(Error::config(format!(
            "{path}: expected 'random' or 'given', got '{other}'"
        ))),
    }
}

fn dialect(text: &str, path: &str) -> Result<DialectOption> {
    match text {
        "auto" => Ok(DialectOption::Auto),
        "servicebus" => Ok(DialectOption::ServiceBus),
        other => Err(Error::config(format!(
            "{path}: expected 'auto' or 'servicebus', got '{other}'"
        ))),
    }
}

fn token(value: &Input, path: &str) -> Result<TokenOption> {
    // The message does not repeat the value, which is a secret.
    let wrong = |why: &str| Error::config(format!("{path}: {why}"));
    let Input::Text(text) = value else {
        return Err(wrong("expected a token or a callable that returns one"));
    };
    let token = Token::read(text).map_err(|why| wrong(&format!("it {why}")))?;
    Ok(TokenOption::Fixed(token))
}

fn format(text: &str, path: &str) -> Result<Format> {
    let known = Format::ALL.iter().find(|format| format.as_str() == text);
    known.copied().ok_or_else(|| {
        let names = Format::ALL.map(|format| format!("'{}'", format.as_str()));
        Error::config(format!(
            "{path}: expected one of {}, got '{text}'",
            names.join(", ")
        ))
    })
}

/// The session that a consumer receives from (Service Bus).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionOption {
    /// The next free session with jobs. When it has no more, the next one.
    Next,
    /// The session with this id.
    Id(String),
}

fn session_id(value: &Input, path: &str) -> Result<String> {
    let id = value.not_empty(path)?;
    if id.len() > 128 {
        return Err(Error::config(format!(
            "{path}: the id of a session must be at most 128 bytes long"
        )));
    }
    Ok(id)
}

/// The options of a `Consumer`; `None` leaves the choice to each queue.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConsumerOptions {
    /// The number of jobs in flight, per queue. Default: the queue's, or adapted to how long jobs
    /// take, for all queues without one together.
    pub prefetch: Option<u32>,
    /// How long `waitTask()` waits without an argument; default: for ever.
    pub timeout: Option<Duration>,
    /// Consumer priority; higher values are served first (RabbitMQ, embedded).
    pub priority: Option<i32>,
    /// Whether each job is settled when it is handed out. Default false.
    pub auto_ack: bool,
    /// The session to receive from (Service Bus).
    pub session: Option<SessionOption>,
    /// How long the consumer may hold a job before the broker takes it back (RabbitMQ 4.3 and
    /// later, quorum queues; embedded). Default: the queue's.
    pub consumer_timeout: Option<Duration>,
    /// How failed jobs are handled. Each queue's own policy fills the gaps.
    pub retry: RetryOptions,
}

impl ConsumerOptions {
    /// The names of the options in PHP.
    pub const NAMES: &'static [&'static str] = &[
        "prefetch",
        "timeout",
        "priority",
        "auto_ack",
        "session",
        "consumer_timeout",
        "max_attempts",
        "backoff",
        "failed_queue",
        "requeue_on_fail",
    ];

    /// Applies PHP's options array to `self`, which contains the defaults. `null` keeps a default.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for an unknown name (the message suggests the nearest one) or
    /// an invalid value.
    pub fn apply(mut self, what: &str, input: &Input) -> Result<Self> {
        for (key, value) in input.map(what)? {
            let path = &format!("{what}: option '{key}'");
            match (key.as_str(), value) {
                ("exclusive", _) => {
                    return Err(Error::config(format!(
                        "{what}: AMQP 1.0 has no exclusive consumers; use the queue option 'single_active_consumer' to serve one consumer at a time, or 'exclusive' for a queue that only this process can use"
                    )))
                }
                (key, _) if !Self::NAMES.contains(&key) => {
                    return Err(Error::config(unknown_option(what, key, Self::NAMES)))
                }
                (_, Input::Null) => {}
                ("prefetch", value) => self.prefetch = Some(value.int(path, 1..=65_535)? as u32),
                ("timeout", value) => self.timeout = Some(value.seconds(path)?),
                ("priority", value) => {
                    let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
                    self.priority = Some(value.int(path, range)? as i32);
                }
                ("consumer_timeout", value) => {
                    self.consumer_timeout = Some(consumer_timeout(value, path)?);
                }
                ("auto_ack", value) => self.auto_ack = value.bool(path)?,
                ("session", Input::Bool(true)) => self.session = Some(SessionOption::Next),
                ("session", Input::Bool(false)) => self.session = None,
                ("session", value) => {
                    self.session = Some(SessionOption::Id(session_id(value, path)?));
                }
                (name, value) => {
                    self.retry.read(name, value, path)?;
                }
            }
        }
        Ok(self)
    }
}
