//! What a broker of this dialect can be set to.

use std::fmt;

/// A broker's settings. `RabbitMq::default()` is right for the broker inside a process.
#[derive(Clone)]
pub struct RabbitMq {
    /// Octets of the largest frame the broker takes; 512 at least. Default 131 072, as RabbitMQ's.
    pub max_frame_size: u32,
    /// Octets of the largest message; a link that sends a larger one is detached with
    /// `amqp:link:message-size-exceeded`. Default 128 MiB.
    pub max_message_size: u64,
    /// Names and passwords for SASL PLAIN. `None`, the default, lets anybody in, by any mechanism
    /// or none; with users, PLAIN is the only mechanism.
    pub users: Option<Vec<(String, String)>>,
    /// How often a message may be returned as failed before it is dead-lettered; queue argument
    /// `x-delivery-limit` goes before it. Default `None`: no limit.
    pub max_delivery_count: Option<u32>,
    /// Whether a queue is made when it is first attached or sent to. Default true; otherwise an
    /// attach is refused with `amqp:not-found`.
    pub create_on_use: bool,
    /// Deliveries a publisher may have sent that the broker has not read; topped up when half is
    /// used. Default 1000, at least 1.
    pub publisher_credit: u32,
    /// What `open` names the broker: product and version. Default `None`: itself. For tests of
    /// clients that go by it; one that poses as `RabbitMQ` offers its `LINK_PAIR_V1_0` too.
    pub pose_as: Option<(String, String)>,
    /// Sessions per connection. Default 256.
    pub max_sessions: u16,
    /// Links per session. Default 256.
    pub max_links: u32,
}

impl Default for RabbitMq {
    fn default() -> Self {
        Self {
            max_frame_size: 128 * 1024,
            max_message_size: 128 * 1024 * 1024,
            users: None,
            max_delivery_count: None,
            create_on_use: true,
            publisher_credit: 1000,
            pose_as: None,
            max_sessions: 256,
            max_links: 256,
        }
    }
}

impl fmt::Debug for RabbitMq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users: Option<Vec<&str>> = self
            .users
            .as_ref()
            .map(|users| users.iter().map(|(name, _)| name.as_str()).collect());
        f.debug_struct("RabbitMq")
            .field("max_frame_size", &self.max_frame_size)
            .field("max_message_size", &self.max_message_size)
            .field("users", &users)
            .field("max_delivery_count", &self.max_delivery_count)
            .field("create_on_use", &self.create_on_use)
            .field("publisher_credit", &self.publisher_credit)
            .field("pose_as", &self.pose_as)
            .field("max_sessions", &self.max_sessions)
            .field("max_links", &self.max_links)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_password() {
        let settings = RabbitMq {
            users: Some(vec![("guest".into(), "s3cret".into())]),
            ..RabbitMq::default()
        };
        let shown = format!("{settings:?}");
        assert!(
            shown.contains("guest") && !shown.contains("s3cret"),
            "{shown}"
        );
    }
}
