//! RabbitMQ 4's address format v2 (see "AMQP 1.0 addresses" in its documentation).

use percent_encoding::{utf8_percent_encode, AsciiSet, NON_ALPHANUMERIC};

/// Everything except RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// One path segment, percent-encoded UTF-8.
#[must_use]
pub fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// `/queues/{name}`
#[must_use]
pub fn queue(name: &str) -> String {
    format!("/queues/{}", segment(name))
}

/// `/exchanges/{name}/{routing key}`, without the key if it is empty.
#[must_use]
pub fn exchange(name: &str, routing_key: &str) -> String {
    if routing_key.is_empty() {
        format!("/exchanges/{}", segment(name))
    } else {
        format!("/exchanges/{}/{}", segment(name), segment(routing_key))
    }
}

/// Whether a text is an address.
pub(super) fn is_one(text: &[u8]) -> bool {
    text.starts_with(b"/queues/") || text.starts_with(b"/exchanges/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_anything_in_them() {
        assert_eq!(queue("a b/ü%"), "/queues/a%20b%2F%C3%BC%25");
        assert_eq!(exchange("x", "a.#"), "/exchanges/x/a.%23");
        assert_eq!(exchange("x", ""), "/exchanges/x");
    }
}
