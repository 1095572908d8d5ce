//! The options of queues and consumers: names, defaults, checks.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::format::Format;
use crate::settings::input::Input;
use crate::settings::place::Place;
use crate::settings::retry::RetryOptions;
use crate::settings::suggest::unknown_option;
use crate::settings::token::{Token, TokenOption};
use crate::settings::topology_options::{consumer_timeout, exchange_type, TopologyOptions};

/// The timeout of a call where nothing else is said (`amqp1.timeout` in php.ini overrides it).
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Which broker's ways are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DialectOption {
    /// Found from the DSN, and from what the broker says of itself.
    #[default]
    Auto,
    /// Service Bus, or what behaves as it does.
    ServiceBus,
}

impl DialectOption {
    /// What the embedded broker is set to in this dialect.
    ///
    /// # Errors
    /// Where it is not built in.
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

/// In which order an endpoint's hosts are dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HostOrder {
    /// Each process has an order of its own, so that many processes spread over the hosts.
    #[default]
    Random,
    /// The order that they are written in: the first one that opens.
    Given,
}

/// TLS files and switches. Paths are read when a connection is dialled.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TlsOptions {
    /// PEM file with the client certificate chain.
    pub cert: Option<PathBuf>,
    /// PEM file with the client's private key.
    pub key: Option<PathBuf>,
    /// PEM file with the CA certificates to trust instead of the system's.
    pub root_ca: Option<PathBuf>,
    /// Trust any certificate: for experiments only.
    pub insecure_skip_verify: bool,
}

/// What an `AmqpQueue` can be told.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueOptions {
    /// The pipeline's name; the queue's name by default.
    pub name: Option<String>,
    /// Deadline of each blocking call. Default 30 s, or `amqp1.timeout`.
    pub timeout: Duration,
    /// How long a lost connection is dialled again before the call fails. Default 60 s.
    pub redial_timeout: Duration,
    /// In which order several hosts are dialled. Default: each process has its own.
    pub host_order: HostOrder,
    /// The idle time-out we announce to the broker. Default 60 s.
    pub heartbeat: Duration,
    /// Prefix of the AMQP container-id. Default `amqp1-php`.
    pub container_id: Option<String>,
    /// Publish to this exchange instead of directly to the queue (RabbitMQ).
    pub exchange: Option<String>,
    /// The exchange's type for `setup()`, and `x-delayed-message`. Default `direct`.
    pub exchange_type: String,
    /// Routing key for the exchange; the queue's name by default.
    pub routing_key: Option<String>,
    /// Declare what is missing before the first use, where the broker can. Default true.
    pub declare: bool,
    /// How queue and bindings are declared.
    pub topology: TopologyOptions,
    /// Jobs survive a broker restart unless they say otherwise. Default true.
    pub durable: bool,
    /// Declare the queue for this connection alone. Default false.
    pub exclusive: bool,
    /// Jobs in flight to one consumer. Default 10.
    pub prefetch: u32,
    /// Priority of jobs that name none. Default: AMQP's 4.
    pub priority: Option<u8>,
    /// Delay of jobs that name none.
    pub delay: Option<Duration>,
    /// Time to live of jobs that name none.
    pub ttl: Option<Duration>,
    /// How jobs are written; all formats are read. Default `roadrunner`.
    pub format: Format,
    /// What becomes of a job that failed.
    pub retry: RetryOptions,
    /// TLS files.
    pub tls: TlsOptions,
    /// Which broker's ways are used. Default: found out.
    pub dialect: DialectOption,
    /// Tokens in place of a key (Service Bus).
    pub token: Option<TokenOption>,
    /// How long the locks of a job in hand, or in the buffer, are renewed in the background
    /// (Service Bus). Default 300 s; zero: never.
    pub max_lock_renewal: Duration,
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
            prefetch: 10,
            priority: None,
            delay: None,
            ttl: None,
            format: Format::default(),
            retry: RetryOptions::default(),
            tls: TlsOptions::default(),
            dialect: DialectOption::Auto,
            token: None,
            max_lock_renewal: Duration::from_secs(300),
        }
    }
}

impl QueueOptions {
    /// The names, as PHP writes them.
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
    ];

    /// Reads the options written at `place` over `self` (the defaults). `null` leaves a default.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`]: an unknown name (with the nearest known one) or a wrong value.
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
                "name" => self.name = Some(not_empty(value.text(path)?, path)?),
                "timeout" => self.timeout = value.seconds(path)?,
                "redial_timeout" => self.redial_timeout = value.seconds(path)?,
                "host_order" => self.host_order = host_order(&value.text(path)?, path)?,
                "heartbeat" => {
                    self.heartbeat = value.seconds(path)?;
                    if self.heartbeat < Duration::from_secs(1) {
                        return Err(Error::config(format!("{path}: must be at least 1 second")));
                    }
                }
                "container_id" => self.container_id = Some(not_empty(value.text(path)?, path)?),
                "exchange" => self.exchange = Some(value.text(path)?).filter(|x| !x.is_empty()),
                "exchange_type" => self.exchange_type = exchange_type(value.text(path)?, path)?,
                "routing_key" => self.routing_key = Some(value.text(path)?),
                "declare" => self.declare = value.bool(path)?,
                "durable" => self.durable = value.bool(path)?,
                "exclusive" => self.exclusive = value.bool(path)?,
                "prefetch" => self.prefetch = value.int(path, 1..=65_535)? as u32,
                "priority" => self.priority = Some(value.int(path, 0..=255)? as u8),
                "delay" => self.delay = Some(value.seconds(path)?),
                "ttl" => self.ttl = Some(value.seconds(path)?),
                "format" => self.format = format(&value.text(path)?, path)?,
                "tls" => self.tls = tls(value, path)?,
                "dialect" => self.dialect = dialect(&value.text(path)?, path)?,
                "token" => self.token = Some(token(value, path)?),
                "max_lock_renewal" => self.max_lock_renewal = value.seconds(path)?,
                name => {
                    if !self.retry.read(name, value, path)? {
                        self.topology.set(name, value, path)?;
                    }
                }
            }
        }
        Ok(self)
    }

    /// Of a queue beside this one, such as its failed queue: it is of the same type.
    pub(crate) fn beside(&self) -> Self {
        Self {
            topology: TopologyOptions {
                queue_type: self.topology.queue_type,
                ..TopologyOptions::default()
            },
            ..Self::default()
        }
    }

    /// Of a job that names none. A queue with `max_priority` would take it for 0.
    pub(crate) fn usual_priority(&self) -> Option<u8> {
        let default = self.topology.max_priority.map(|_| 4);
        self.priority.or(default)
    }
}

fn not_empty(text: String, path: &str) -> Result<String> {
    if text.is_empty() {
        return Err(Error::config(format!("{path}: must not be empty")));
    }
    Ok(text)
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
    // Not repeated: it is a secret.
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

fn tls(value: &Input, path: &str) -> Result<TlsOptions> {
    const NAMES: [&str; 4] = ["cert", "key", "root_ca", "insecure_skip_verify"];
    let mut tls = TlsOptions::default();
    if let Input::Text(_) = value {
        // Not repeated: it may be a key.
        return Err(Error::config(format!(
            "{path}: expected an array of name => value, got a string"
        )));
    }
    for (key, value) in value.map(path)? {
        let path = &format!("{path}.{key}");
        match (key.as_str(), value) {
            (_, Input::Null) => {}
            ("cert", value) => tls.cert = Some(file(value, path)?),
            ("key", value) => tls.key = Some(file(value, path)?),
            ("root_ca", value) => tls.root_ca = Some(file(value, path)?),
            ("insecure_skip_verify", value) => tls.insecure_skip_verify = value.bool(path)?,
            _ => return Err(Error::config(unknown_option(path, key, &NAMES))),
        }
    }
    if tls.cert.is_some() != tls.key.is_some() {
        return Err(Error::config(format!(
            "{path}: 'cert' and 'key' must be set together"
        )));
    }
    Ok(tls)
}

/// A file's path. The file's content in its place is refused before any message could
/// repeat it as a path: it may be a key.
fn file(value: &Input, path: &str) -> Result<PathBuf> {
    let text = match value {
        Input::Text(text) => text,
        _ => {
            return Err(Error::config(format!(
                "{path}: expected the path of a PEM file"
            )))
        }
    };
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    // DER begins with a sequence's tag, 0x30: an M in base64.
    let is_der = text.len() > 40 && text.starts_with('M') && text.bytes().all(is_base64);
    if is_der || text.contains(['\n', '\r', '\0']) || text.contains("-----BEGIN") {
        return Err(Error::config(format!(
            "{path}: expected the path of a PEM file, got what looks like its content"
        )));
    }
    not_empty(text.clone(), path).map(PathBuf::from)
}

/// Which session a consumer takes (Service Bus).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionOption {
    /// The next free one that has jobs, and when that has no more, the next.
    Next,
    /// The one of this id.
    Id(String),
}

fn session_id(value: &Input, path: &str) -> Result<String> {
    let id = not_empty(value.text(path)?, path)?;
    if id.len() > 128 {
        return Err(Error::config(format!(
            "{path}: the id of a session must be at most 128 bytes long"
        )));
    }
    Ok(id)
}

/// What a `Consumer` can be told; `None` leaves it to each queue.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConsumerOptions {
    /// Jobs in flight, for each queue.
    pub prefetch: Option<u32>,
    /// How long `waitTask()` without an argument waits; for ever by default.
    pub timeout: Option<Duration>,
    /// Consumer priority, higher is served first (RabbitMQ, embedded).
    pub priority: Option<i32>,
    /// Settle each job when it is handed out. Default false.
    pub auto_ack: bool,
    /// The session to take (Service Bus).
    pub session: Option<SessionOption>,
    /// How long it may hold a job before the broker takes it back (RabbitMQ from 4.3 on,
    /// quorum queues; embedded). Default: the queue's.
    pub consumer_timeout: Option<Duration>,
    /// What becomes of a job that failed; where it is silent, the queue's own say.
    pub retry: RetryOptions,
}

impl ConsumerOptions {
    /// The names, as PHP writes them.
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

    /// Reads PHP's options array over `self` (the defaults). `null` leaves a default.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`]: an unknown name (with the nearest known one) or a wrong value.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgHN+qvJEu";

    fn apply(tls: Input) -> Result<QueueOptions> {
        let options = Input::Map(vec![("tls".to_owned(), tls)]);
        QueueOptions::default().apply("test", &options)
    }

    #[test]
    fn a_key_in_place_of_its_path_is_refused_and_not_repeated() {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\n");
        let one_line = format!("-----BEGIN PRIVATE KEY-----{KEY}-----END PRIVATE KEY-----");
        for content in [KEY.to_owned(), pem, one_line] {
            for name in ["cert", "key", "root_ca"] {
                let entry = (name.to_owned(), Input::Text(content.clone()));
                let error = apply(Input::Map(vec![entry])).unwrap_err();
                assert!(error.message().contains(name), "{error}");
                assert!(!error.message().contains("MIGHAgEA"), "{error}");
            }
            let error = apply(Input::Text(content)).unwrap_err();
            assert!(!error.message().contains("MIGHAgEA"), "{error}");
        }
    }

    #[test]
    fn paths_are_taken() {
        for path in ["/etc/ssl/private/client.key", "My.key", "M/A/Y"] {
            let entry = ("root_ca".to_owned(), Input::Text(path.to_owned()));
            let options = apply(Input::Map(vec![entry])).unwrap();
            assert_eq!(options.tls.root_ca, Some(path.into()));
            assert!(format!("{options:?}").contains(path));
        }
    }
}
