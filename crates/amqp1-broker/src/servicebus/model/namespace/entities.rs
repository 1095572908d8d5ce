//! Entities by their paths.

use super::*;
use crate::clock::ms;
use crate::servicebus::facts::condition;
use crate::servicebus::settings::{ServiceBus, SubscriptionSettings, TopicSettings};

/// The purpose of looking up an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Send,
    Receive,
    /// Receive by session.
    ReceiveSession,
    Manage,
}

impl Namespace {
    pub(crate) fn new(settings: &ServiceBus) -> Self {
        let mut namespace = Self {
            nodes: Vec::new(),
            names: HashMap::new(),
            links: HashMap::new(),
            waiters: Vec::new(),
            events: HashMap::new(),
            woken: BTreeSet::new(),
            dirty: BTreeSet::new(),
            last_id: 0,
            create_on_use: settings.create_on_use,
            new_queue: settings.new_queue.clone(),
            max_entities: settings.max_entities,
        };
        for (name, queue) in &settings.queues {
            namespace.declare_queue(name, queue.clone());
        }
        for (name, topic) in &settings.topics {
            namespace.declare_topic(name, topic);
        }
        namespace
    }

    /// Creates a queue; an existing one stays as it is.
    pub(crate) fn declare_queue(&mut self, name: &str, settings: QueueSettings) -> NodeId {
        match self.find(name) {
            Some(id) => id,
            None => self.add_with_dead_letters(name, settings),
        }
    }

    /// Creates a topic and its subscriptions; existing ones stay as they are.
    pub(crate) fn declare_topic(&mut self, name: &str, settings: &TopicSettings) -> NodeId {
        let id = match self.find(name) {
            Some(id) => id,
            None => {
                let own = QueueSettings {
                    default_ttl: settings.default_ttl,
                    duplicate_detection: settings.duplicate_detection,
                    ..QueueSettings::default()
                };
                let id = self.add(name, own, None);
                if let Some(node) = self.nodes.get_mut(id.0) {
                    node.subscriptions = Some(Vec::new());
                }
                id
            }
        };
        for subscription in &settings.subscriptions {
            self.declare_subscription(name, subscription);
        }
        id
    }

    fn declare_subscription(&mut self, topic: &str, settings: &SubscriptionSettings) {
        let path = format!("{topic}/Subscriptions/{}", settings.name);
        if self.find(&path).is_some() {
            return;
        }
        let Some(topic) = self.find(topic) else {
            return;
        };
        let id = self.add_with_dead_letters(&path, settings.queue.clone());
        if let Some(node) = self.nodes.get_mut(id.0) {
            node.rules.clone_from(&settings.rules);
        }
        let topic = self.nodes.get_mut(topic.0);
        if let Some(subscriptions) = topic.and_then(|node| node.subscriptions.as_mut()) {
            subscriptions.push(id);
        }
    }

    fn add_with_dead_letters(&mut self, path: &str, settings: QueueSettings) -> NodeId {
        let sub_queue = QueueSettings {
            requires_session: false,
            duplicate_detection: None,
            default_ttl: None,
            forward_to: None,
            forward_dead_letters_to: None,
            ..settings.clone()
        };
        let dead = self.add(
            &format!("{path}/{}", address::DEAD_LETTERS),
            sub_queue,
            None,
        );
        self.add(path, settings, Some(dead))
    }

    fn add(&mut self, path: &str, settings: QueueSettings, dead_letters: Option<NodeId>) -> NodeId {
        let id = NodeId(self.nodes.len());
        let is_dead_letters = path.ends_with(address::DEAD_LETTERS);
        self.nodes.push(Node {
            path: path.to_owned(),
            duplicates: settings.duplicate_detection.map(|w| Duplicates::new(ms(w))),
            queue: Queue::new(settings, is_dead_letters),
            subscriptions: None,
            rules: Vec::new(),
            dead_letters,
            is_undecided: false,
        });
        self.names.insert(path.to_lowercase(), id);
        id
    }

    /// The entity with this path, regardless of case.
    pub(crate) fn find(&self, path: &str) -> Option<NodeId> {
        self.names.get(&path.to_lowercase()).copied()
    }

    /// Whether an entity with this lower-case path, or one below it, exists or can be created. The
    /// empty path is the namespace.
    pub(crate) fn has_below(&self, path: &str) -> bool {
        let is_below = |name: &String| name.strip_prefix(path).is_some_and(|r| r.starts_with('/'));
        path.is_empty()
            || self.create_on_use
            || self.names.contains_key(path)
            || self.names.keys().any(is_below)
    }

    /// The entity that an address names, if it may be used for this purpose.
    pub(crate) fn resolve(&mut self, path: &str, wanted: Use) -> Result<NodeId, Error> {
        let id = match self.find(path) {
            Some(id) => id,
            None if self.create_on_use => self.create(path, wanted)?,
            None => return Err(errors::no_entity(path)),
        };
        let node = self.node_mut(id).ok_or_else(|| errors::no_entity(path))?;
        match wanted {
            Use::ReceiveSession if node.is_undecided => {
                node.queue.require_sessions();
                node.is_undecided = false;
            }
            Use::Receive => node.is_undecided = false,
            _ => {}
        }
        match wanted {
            Use::Send if address::is_subscription(&node.path) => Err(errors::not_allowed(format!(
                "'{}' is a subscription or a sub-queue: send to its topic or queue",
                node.path
            ))),
            Use::Receive | Use::ReceiveSession if node.subscriptions.is_some() => {
                Err(errors::not_allowed(format!(
                    "'{0}' is a topic: receive from '{0}/Subscriptions/…'",
                    node.path
                )))
            }
            _ => Ok(id),
        }
    }

    /// Creates an entity for this purpose.
    fn create(&mut self, path: &str, wanted: Use) -> Result<NodeId, Error> {
        if self.paths().len() >= self.max_entities {
            return Err(errors::error(
                condition::RESOURCE_LIMIT_EXCEEDED,
                "The namespace has as many entities as it may have.",
            ));
        }
        let entity = address::without_sub_queue(path);
        let settings = QueueSettings {
            requires_session: wanted == Use::ReceiveSession,
            ..self.new_queue.clone()
        };
        match address::subscription(entity) {
            Some((topic, subscription)) => {
                let subscription = SubscriptionSettings::to_all(subscription, settings);
                let with_it = TopicSettings {
                    subscriptions: vec![subscription],
                    ..TopicSettings::default()
                };
                self.declare_topic(topic, &with_it);
            }
            None => {
                self.declare_queue(entity, settings);
            }
        }
        for path in [entity, path] {
            if let Some(node) = self.find(path).and_then(|id| self.nodes.get_mut(id.0)) {
                node.is_undecided = node.dead_letters.is_some();
            }
        }
        self.find(path).ok_or_else(|| errors::no_entity(path))
    }

    /// The paths of all entities, sorted, without sub-queues.
    pub(crate) fn paths(&self) -> Vec<String> {
        let all = self.nodes.iter().map(|node| node.path.clone());
        let mut all: Vec<String> = all
            .filter(|path| !path.ends_with(address::DEAD_LETTERS))
            .collect();
        all.sort();
        all
    }
}
