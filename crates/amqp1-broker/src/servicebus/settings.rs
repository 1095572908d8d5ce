//! What a namespace of the dialect can be set to.

use std::fmt;
use std::time::Duration;

pub use super::model::rules::{Change, Correlation, NamedRule, Rule};

/// The name of the default access rule.
pub const DEFAULT_RULE: &str = "RootManageSharedAccessKey";
/// The key of the default access rule: the placeholder in the connection string that Microsoft
/// documents for its emulator, so that this string works unchanged.
pub const DEFAULT_KEY: &str = "SAS_KEY_VALUE";

/// The idle-time-out that the service tells its peers; [`Options`](crate::Options) has a shorter one.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(240);

/// A namespace's settings. `ServiceBus::default()` suits the broker inside a process: entities are
/// made at their first use and nobody needs a token.
#[derive(Clone)]
pub struct ServiceBus {
    /// The queues there are from the start.
    pub queues: Vec<(String, QueueSettings)>,
    /// The topics there are from the start.
    pub topics: Vec<(String, TopicSettings)>,
    /// Whether a queue or a subscription is made when it is first attached to. Default true;
    /// otherwise an attach is refused with `amqp:not-found`.
    pub create_on_use: bool,
    /// How queues are made at their first use.
    pub new_queue: QueueSettings,
    /// Rules whose keys sign tokens, name and key. Default: [`DEFAULT_RULE`] with [`DEFAULT_KEY`].
    pub access_rules: Vec<(String, String)>,
    /// Tokens that are taken as they are, as an identity provider's would be; the `exp` of a JWT
    /// is their expiry. Default: none.
    pub bearer_tokens: Vec<String>,
    /// Whether a link needs a valid token for its entity (or a connection SASL PLAIN). Default
    /// false. A token that is put is checked either way.
    pub require_token: bool,
    /// Octets of the largest message. Default 262 144, as in the service's standard tier.
    pub max_message_size: u64,
    /// Connections at a time. Default 5000.
    pub max_connections: usize,
    /// Queues, topics and subscriptions together. Default 10 000.
    pub max_entities: usize,
    /// When the service gives up on a peer that does nothing.
    pub timers: Timers,
}

/// A queue's or subscription's settings; the defaults are the service's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSettings {
    /// How long a message or a session is locked. Default 60 s.
    pub lock_duration: Duration,
    /// Deliveries after which a message is dead-lettered. Default 10.
    pub max_delivery_count: u32,
    /// Whether messages are received by session. Default false.
    pub requires_session: bool,
    /// How long a message lives that does not say. Default: for ever.
    pub default_ttl: Option<Duration>,
    /// Whether an expired message is dead-lettered. Default false: it is dropped.
    pub dead_letter_on_expiration: bool,
    /// The window of duplicate detection. Default: none.
    pub duplicate_detection: Option<Duration>,
    /// The entity to which messages are passed on.
    pub forward_to: Option<String>,
    /// The entity to which dead-lettered messages are passed on.
    pub forward_dead_letters_to: Option<String>,
    /// Octets of all messages. Default 1 GiB; more are refused with
    /// `amqp:resource-limit-exceeded`.
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
    /// How long a message lives that does not say. Default: for ever.
    pub default_ttl: Option<Duration>,
    /// The window of duplicate detection. Default: none.
    pub duplicate_detection: Option<Duration>,
    /// The subscriptions there are from the start.
    pub subscriptions: Vec<SubscriptionSettings>,
}

/// A subscription's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriptionSettings {
    /// Its name within the topic.
    pub name: String,
    /// What it has in common with a queue.
    pub queue: QueueSettings,
    /// Its rules; a message that matches any of them is taken, once, with the changes of all that
    /// it matches.
    pub rules: Vec<NamedRule>,
}

impl SubscriptionSettings {
    /// A subscription to every message.
    pub fn to_all(name: impl Into<String>, queue: QueueSettings) -> Self {
        Self {
            name: name.into(),
            queue,
            rules: vec![NamedRule::new("$Default", Rule::True)],
        }
    }
}

/// When the service gives up on a peer that does nothing. Zero: never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timers {
    /// Without a valid token, where one is needed. Default 20 s; `amqp:connection:forced`.
    pub no_token: Duration,
    /// Without a first link. Default 60 s; `amqp:connection:forced`.
    pub no_link: Duration,
    /// After the last link went. Default 300 s; `amqp:connection:forced`.
    pub links_gone: Duration,
    /// A link on which nothing moves. Default 600 s; `amqp:link:detach-forced`.
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
    /// Looks whether entities pass messages on to entities that are there.
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

    /// As the service and the program are: tokens are needed, and entities are only those that
    /// are named.
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
