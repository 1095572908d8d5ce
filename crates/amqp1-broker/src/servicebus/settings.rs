//! The settings of a namespace.

use std::fmt;
use std::time::Duration;

pub use super::model::rules::{Change, Correlation, NamedRule, Rule};

/// The name of the default access rule.
pub const DEFAULT_RULE: &str = "RootManageSharedAccessKey";
/// The key of the default access rule: the placeholder in the connection string that Microsoft
/// documents for its emulator. That string thus works unchanged.
pub const DEFAULT_KEY: &str = "SAS_KEY_VALUE";

/// The idle-time-out that the service announces to peers; [`Options`](crate::Options) has a shorter
/// one.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(240);

/// The settings of a namespace. `ServiceBus::default()` suits the embedded broker: entities are
/// created on first use, and no token is needed.
#[derive(Clone)]
pub struct ServiceBus {
    /// The initial queues.
    pub queues: Vec<(String, QueueSettings)>,
    /// The initial topics.
    pub topics: Vec<(String, TopicSettings)>,
    /// Whether a queue or a subscription is created on its first attach. Default true; if false,
    /// such an attach is refused with `amqp:not-found`.
    pub create_on_use: bool,
    /// The settings of queues created on first use.
    pub new_queue: QueueSettings,
    /// Rules whose keys sign tokens: name and key. Default: [`DEFAULT_RULE`] with [`DEFAULT_KEY`].
    pub access_rules: Vec<(String, String)>,
    /// Tokens that are accepted as they are, like those of an identity provider; the `exp` of a JWT
    /// is their expiry. Default: none.
    pub bearer_tokens: Vec<String>,
    /// Whether a link needs a valid token for its entity (or its connection SASL PLAIN). Default
    /// false. Tokens that are put are checked either way.
    pub require_token: bool,
    /// The largest message, in bytes. Default 262 144, as in the service's standard tier.
    pub max_message_size: u64,
    /// The most connections at a time. Default 5000.
    pub max_connections: usize,
    /// The most queues, topics and subscriptions in total. Default 10 000.
    pub max_entities: usize,
    /// When the service gives up on an idle peer.
    pub timers: Timers,
}

/// The settings of a queue or subscription; the defaults are the service's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSettings {
    /// How long a message or a session is locked. Default 60 s.
    pub lock_duration: Duration,
    /// Deliveries after which a message is dead-lettered. Default 10.
    pub max_delivery_count: u32,
    /// Whether the queue requires sessions. Default false.
    pub requires_session: bool,
    /// Time to live of messages that set none. Default: unlimited.
    pub default_ttl: Option<Duration>,
    /// Whether an expired message is dead-lettered. Default false: it is dropped.
    pub dead_letter_on_expiration: bool,
    /// The window of duplicate detection. Default: none.
    pub duplicate_detection: Option<Duration>,
    /// The entity to which messages are forwarded.
    pub forward_to: Option<String>,
    /// The entity to which dead-lettered messages are forwarded.
    pub forward_dead_letters_to: Option<String>,
    /// The size of all messages together, in bytes. Default 1 GiB. Beyond it, messages are refused
    /// with `amqp:resource-limit-exceeded`.
    pub max_size: u64,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            lock_duration: Duration::from_secs(60),
            max_delivery_count: 10,
            requires_session: false,
            default_ttl: None,
            dead_letter_on_expiration: false,
            duplicate_detection: None,
            forward_to: None,
            forward_dead_letters_to: None,
            max_size: 1 << 30,
        }
    }
}

/// A topic's settings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopicSettings {
    /// Time to live of messages that set none. Default: unlimited.
    pub default_ttl: Option<Duration>,
    /// The window of duplicate detection. Default: none.
    pub duplicate_detection: Option<Duration>,
    /// The initial subscriptions.
    pub subscriptions: Vec<SubscriptionSettings>,
}

/// A subscription's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriptionSettings {
    /// Its name within the topic.
    pub name: String,
    /// The settings that it shares with a queue.
    pub queue: QueueSettings,
    /// Its rules. A message that matches any of them is added once, with the changes of all
    /// matching rules.
    pub rules: Vec<NamedRule>,
}

impl SubscriptionSettings {
    /// A subscription to all messages.
    pub fn to_all(name: impl Into<String>, queue: QueueSettings) -> Self {
        Self {
            name: name.into(),
            queue,
            rules: vec![NamedRule::new("$Default", Rule::True)],
        }
    }
}

/// When the service gives up on an idle peer. Zero: never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timers {
    /// Without a valid token, if one is required. Default 20 s; `amqp:connection:forced`.
    pub no_token: Duration,
    /// Before its first link. Default 60 s; `amqp:connection:forced`.
    pub no_link: Duration,
    /// After its last link ended. Default 300 s; `amqp:connection:forced`.
    pub links_gone: Duration,
    /// A link without activity. Default 600 s; `amqp:link:detach-forced`.
    pub link_idle: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            no_token: Duration::from_secs(20),
            no_link: Duration::from_secs(60),
            links_gone: Duration::from_secs(300),
            link_idle: Duration::from_secs(600),
        }
    }
}

impl Default for ServiceBus {
    fn default() -> Self {
        Self {
            queues: Vec::new(),
            topics: Vec::new(),
            create_on_use: true,
            new_queue: QueueSettings::default(),
            access_rules: vec![(DEFAULT_RULE.to_owned(), DEFAULT_KEY.to_owned())],
            bearer_tokens: Vec::new(),
            require_token: false,
            max_message_size: 256 * 1024,
            max_connections: 5000,
            max_entities: 10_000,
            timers: Timers::default(),
        }
    }
}

impl ServiceBus {
    /// Checks that every entity forwards to an existing one.
    ///
    /// # Errors
    /// A sentence that names the first one that does not.
    pub fn check_forwards(&self) -> Result<(), String> {
        let subscriptions = self.topics.iter().flat_map(|(topic, settings)| {
            let all = settings.subscriptions.iter();
            all.map(move |one| (format!("{topic}/Subscriptions/{}", one.name), &one.queue))
        });
        let queues = self
            .queues
            .iter()
            .map(|(name, queue)| (name.clone(), queue));
        for (from, settings) in queues.chain(subscriptions) {
            let forwards = [
                ("ForwardTo", &settings.forward_to),
                (
                    "ForwardDeadLetteredMessagesTo",
                    &settings.forward_dead_letters_to,
                ),
            ];
            for (property, to) in forwards {
                let Some(to) = to else {
                    continue;
                };
                let mut names = self.queues.iter().map(|(name, _)| name);
                let is_queue = names.any(|name| name.eq_ignore_ascii_case(to));
                let mut names = self.topics.iter().map(|(name, _)| name);
                if !is_queue && !names.any(|name| name.eq_ignore_ascii_case(to)) {
                    return Err(format!(
                        "'{from}': {property}: there is no queue and no topic '{to}'"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Settings like those of the service and the program: tokens are required, and only the named
    /// entities exist.
    pub fn strict() -> Self {
        Self {
            create_on_use: false,
            require_token: true,
            ..Self::default()
        }
    }
}

impl fmt::Debug for ServiceBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<&str> = self.access_rules.iter().map(|(n, _)| n.as_str()).collect();
        f.debug_struct("ServiceBus")
            .field("queues", &self.queues)
            .field("topics", &self.topics)
            .field("create_on_use", &self.create_on_use)
            .field("access_rules", &rules)
            .field("require_token", &self.require_token)
            .field("max_message_size", &self.max_message_size)
            .field("timers", &self.timers)
            .finish_non_exhaustive()
    }
}
