//! Addresses: those of RabbitMQ 4 (<https://www.rabbitmq.com/docs/amqp#addresses>), and plain queue
//! names.

use percent_encoding::{percent_decode_str, utf8_percent_encode, NON_ALPHANUMERIC};

/// Name of the management node.
pub(crate) const MANAGEMENT: &str = "/management";

/// The node that an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// `/queues/{percent-encoded name}`, or a name that does not begin with a slash.
    Queue(String),
    /// `/exchanges/{exchange}/{routing key}`; the key defaults to the empty one.
    Exchange { name: String, key: String },
    /// `/management`
    Management,
}

impl Address {
    /// Parses an address. The error is a sentence for `amqp:invalid-field`.
    pub(crate) fn parse(address: &str) -> Result<Self, String> {
        if address == MANAGEMENT {
            return Ok(Self::Management);
        }
        let Some(path) = address.strip_prefix('/') else {
            return Self::queue(address, address.to_owned());
        };
        let mut segments = path.split('/');
        match (
            segments.next(),
            segments.next(),
            segments.next(),
            segments.next(),
        ) {
            (Some("queues"), Some(name), None, None) => Self::queue(address, segment(name)?),
            (Some("exchanges"), Some(name), key, None) if !name.is_empty() => Ok(Self::Exchange {
                name: segment(name)?,
                key: segment(key.unwrap_or_default())?,
            }),
            _ => Err(format!(
                "address '{address}' is none of /queues/QUEUE, /exchanges/EXCHANGE, \
                 /exchanges/EXCHANGE/KEY or a plain queue name"
            )),
        }
    }

    /// The address of a queue.
    pub(crate) fn of_queue(name: &str) -> String {
        format!("/queues/{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
    }

    fn queue(address: &str, name: String) -> Result<Self, String> {
        if name.is_empty() {
            Err(format!("address '{address}' has an empty queue name"))
        } else {
            Ok(Self::Queue(name))
        }
    }
}

/// Decodes one percent-encoded segment. Like RabbitMQ, it refuses bytes that should have been
/// encoded.
pub(crate) fn segment(encoded: &str) -> Result<String, String> {
    if let Some(c) = encoded.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(format!(
            "'{encoded}' has {c:?}, which must be percent-encoded"
        ));
    }
    percent_decode_str(encoded)
        .decode_utf8()
        .map(|name| name.into_owned())
        .map_err(|_| format!("'{encoded}' is not UTF-8 once decoded"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn queue(name: &str) -> Result<Address, String> {
        Ok(Address::Queue(name.into()))
    }

    #[test]
    fn queues_are_named_by_path_or_plainly() {
        assert_eq!(Address::parse("/queues/orders"), queue("orders"));
        assert_eq!(Address::parse("/queues/a%2Fb%20%C3%A4"), queue("a/b ä"));
        assert_eq!(Address::parse("orders"), queue("orders"));
        assert_eq!(Address::parse("täglich/neu"), queue("täglich/neu"));
    }

    #[test]
    fn exchanges_may_have_a_key() {
        let parsed = Address::parse("/exchanges/x/a.b%23").unwrap();
        let (name, key) = ("x".into(), "a.b#".into());
        assert_eq!(parsed, Address::Exchange { name, key });
        let parsed = Address::parse("/exchanges/x").unwrap();
        let (name, key) = ("x".into(), String::new());
        assert_eq!(parsed, Address::Exchange { name, key });
    }

    #[test]
    fn what_must_be_encoded_is_refused_raw() {
        for bad in [
            "",
            "/",
            "/queues",
            "/queues/",
            "/queues/a/b",
            "/queues/a b",
            "/queues/ä",
            "/queues/%ff",
            "/exchanges/",
            "/exchanges/x/y/z",
            "/queue/v1",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
