//! RabbitMQ 3's address format (see the documentation of its AMQP 1.0 plugin).

/// `/amq/queue/{name}`: an existing queue.
pub(super) fn queue(name: &str) -> String {
    format!("/amq/queue/{}", segment(name))
}

/// `/queue/{name}`: a queue that an attaching sender creates.
pub(super) fn declared_queue(name: &str) -> String {
    format!("/queue/{}", segment(name))
}

/// `/exchange/{name}/{routing key}`
pub(super) fn exchange(name: &str, routing_key: &str) -> String {
    format!("/exchange/{}/{}", segment(name), segment(routing_key))
}

/// A name in the plugin's encoding: it decodes only `%2F`, and turns each character into one byte.
/// Therefore each byte of the UTF-8 is written as the character with that number.
fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'/' => out.push_str("%2F"),
            byte => out.push(char::from(byte)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_anything_in_them() {
        assert_eq!(queue("a b/c%"), "/amq/queue/a b%2Fc%");
        assert_eq!(segment("ž"), "\u{c5}\u{be}");
    }
}
