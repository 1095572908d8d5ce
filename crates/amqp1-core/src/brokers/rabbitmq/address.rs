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

/// The address of a reply-to, in which AMQP 0-9-1 clients write a queue's name.
pub(super) fn of_reply(reply_to: &str) -> String {
    match is_one(reply_to.as_bytes()) {
        true => reply_to.to_owned(),
        false => queue(reply_to),
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
        assert_eq!(of_reply("/queues/a"), "/queues/a");
        assert_eq!(of_reply("amq.gen/1"), "/queues/amq.gen%2F1");
    }
}
