//! Link addresses: entities, and the broker's own nodes.

use percent_encoding::percent_decode_str;

/// The dead-letter sub-queue.
pub(crate) const DEAD_LETTERS: &str = "$DeadLetterQueue";
const SUBSCRIPTIONS: &str = "/subscriptions/";

/// The node that a link is attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// The path of an entity or its sub-queue.
    Entity(String),
    /// An entity's management node.
    Management(String),
    /// Claims-based security: clients put their tokens there.
    Cbs,
    /// Accepts faults to inject; specific to this broker. It is also its own management node,
    /// because Go's SDK attaches to one for every address it sends to.
    Faults,
}

impl Address {
    /// Parses an address: a path, or a URI with that path (`amqps://host:port/queue`).
    pub(crate) fn parse(address: &str) -> Self {
        let path = match address.split_once("://") {
            Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
            None => address,
        };
        let path = path.split(['?']).next().unwrap_or_default();
        let path = percent_decode_str(path.trim_matches('/')).decode_utf8_lossy();
        let lower = path.to_ascii_lowercase();
        match lower.as_str() {
            "$cbs" => Self::Cbs,
            "$faults" | "$faults/$management" => Self::Faults,
            _ => match lower.strip_suffix("/$management") {
                Some(entity) => Self::Management(path[..entity.len()].to_owned()),
                None => Self::Entity(path.into_owned()),
            },
        }
    }

    /// The entity's path without its sub-queue. A token must cover it.
    pub(crate) fn entity(&self) -> Option<&str> {
        match self {
            Self::Entity(path) | Self::Management(path) => Some(without_sub_queue(path)),
            Self::Cbs | Self::Faults => None,
        }
    }
}

/// The entity of a sub-queue's path, or the path itself.
pub(crate) fn without_sub_queue(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((entity, sub)) if sub.eq_ignore_ascii_case(DEAD_LETTERS) => entity,
        _ => path,
    }
}

/// The topic and the subscription in a path.
pub(crate) fn subscription(path: &str) -> Option<(&str, &str)> {
    let at = path.to_ascii_lowercase().find(SUBSCRIPTIONS)?;
    let name = path.get(at + SUBSCRIPTIONS.len()..)?;
    Some((path.get(..at)?, name)).filter(|(topic, name)| !topic.is_empty() && !name.is_empty())
}

/// Whether the path cannot be sent to: a subscription, or a sub-queue.
pub(crate) fn is_subscription(path: &str) -> bool {
    subscription(path).is_some() || without_sub_queue(path) != path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let entity = |path: &str| Address::Entity(path.into());
        for (address, read) in [
            ("queue", entity("queue")),
            ("/queue", entity("queue")),
            ("amqps://localhost:5671/Queue", entity("Queue")),
            ("sb://ns.servicebus.windows.net/a/b", entity("a/b")),
            ("q/$deadletterqueue", entity("q/$deadletterqueue")),
            ("q/$management", Address::Management("q".into())),
            (
                "amqps://h/t/Subscriptions/s/$management",
                Address::Management("t/Subscriptions/s".into()),
            ),
            ("$cbs", Address::Cbs),
            ("amqps://h/$cbs", Address::Cbs),
            ("$faults", Address::Faults),
            ("$Faults/$management", Address::Faults),
        ] {
            assert_eq!(Address::parse(address), read, "{address}");
        }
    }

    #[test]
    fn a_token_is_for_the_entity() {
        let entity = |address| Address::parse(address).entity().map(str::to_owned);
        assert_eq!(
            entity("q/$DeadLetterQueue/$management").as_deref(),
            Some("q")
        );
        assert_eq!(entity("$cbs"), None);
        assert_eq!(subscription("t/Subscriptions/s"), Some(("t", "s")));
        assert_eq!(subscription("t/subscriptions/"), None);
    }
}
