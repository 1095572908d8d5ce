//! Exchanges: the queues that a routing key leads to (<https://www.rabbitmq.com/docs/exchanges>).

use std::collections::BTreeSet;

use super::arguments::Arguments;

/// How an exchange compares a routing key with a binding key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExchangeType {
    /// The keys are equal.
    Direct,
    /// Always matches.
    Fanout,
    /// Words separated by dots; `*` is one word, `#` any number of words.
    Topic,
    /// RabbitMQ's delayed-message plugin, in front of a direct exchange.
    Delayed,
}

impl ExchangeType {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "direct" => Some(Self::Direct),
            "fanout" => Some(Self::Fanout),
            "topic" => Some(Self::Topic),
            "x-delayed-message" => Some(Self::Delayed),
            _ => None,
        }
    }

    pub(crate) fn matches(self, binding_key: &str, routing_key: &str) -> bool {
        match self {
            Self::Direct | Self::Delayed => binding_key == routing_key,
            Self::Fanout => true,
            Self::Topic => topic_matches(binding_key, routing_key),
        }
    }
}

/// Compares word by word, without recursion: on a mismatch after a `#`, that `#` absorbs one more
/// word.
fn topic_matches(pattern: &str, key: &str) -> bool {
    let words = |s: &str| -> Vec<String> {
        if s.is_empty() {
            Vec::new()
        } else {
            s.split('.').map(str::to_owned).collect()
        }
    };
    let (pattern, key) = (words(pattern), words(key));
    let (mut p, mut k) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p).map(String::as_str), key.get(k)) {
            (None, None) => return true,
            (Some("#"), _) => {
                retry = Some((p, k));
                p += 1;
                continue;
            }
            (Some("*"), Some(_)) => {
                p += 1;
                k += 1;
                continue;
            }
            (Some(word), Some(other)) if word == other => {
                p += 1;
                k += 1;
                continue;
            }
            _ => {}
        }
        match retry {
            Some((at, taken)) if taken < key.len() => {
                retry = Some((at, taken + 1));
                p = at + 1;
                k = taken + 1;
            }
            _ => return false,
        }
    }
}

/// A binding of a queue, by the queue's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Binding {
    pub(crate) queue: String,
    pub(crate) key: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) kind: ExchangeType,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    pub(crate) internal: bool,
    pub(crate) arguments: Arguments,
    pub(crate) bindings: BTreeSet<Binding>,
}

impl Exchange {
    pub(crate) fn new(kind: ExchangeType) -> Self {
        Self {
            kind,
            durable: true,
            auto_delete: false,
            internal: false,
            arguments: Arguments::new(),
            bindings: BTreeSet::new(),
        }
    }

    /// Whether a second declaration describes the same exchange.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        let flags = |e: &Self| (e.kind, e.durable, e.auto_delete, e.internal);
        flags(self) == flags(other) && self.arguments == other.arguments
    }

    /// The queues that a routing key leads to, without duplicates.
    pub(crate) fn route<'a>(&'a self, routing_key: &str) -> BTreeSet<&'a str> {
        self.bindings
            .iter()
            .filter(|binding| self.kind.matches(&binding.key, routing_key))
            .map(|binding| binding.queue.as_str())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn topic_patterns_match_words() {
        for (pattern, key, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.c", false),
            ("*.b", "a.b", true),
            ("*.b", "b", false),
            ("*", "a.b", false),
            ("#", "", true),
            ("#", "a.b.c", true),
            ("a.#", "a", true),
            ("a.#", "a.b.c", true),
            ("a.#.c", "a.c", true),
            ("a.#.c", "a.b.b.c", true),
            ("a.#.c", "a.b.b", false),
            ("#.b.#", "a.b", true),
            ("#.b.#", "a.c", false),
            ("#.#.#", "a", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(topic_matches(pattern, key), expected, "{pattern} {key}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        let pattern = ["#.a"; 60].join(".");
        let key = ["a"; 200].join(".") + ".b";
        assert!(!topic_matches(&pattern, &key));
    }

    #[test]
    fn a_queue_bound_twice_is_routed_to_once() {
        let mut exchange = Exchange::new(ExchangeType::Topic);
        for key in ["a.*", "a.b", "c"] {
            let (queue, key) = ("q".to_owned(), key.to_owned());
            exchange.bindings.insert(Binding { queue, key });
        }
        assert_eq!(exchange.route("a.b").into_iter().collect::<Vec<_>>(), ["q"]);
        assert!(exchange.route("b").is_empty());
    }
}
