//! The settings of the RabbitMQ dialect.

use std::fmt;

/// The settings of the RabbitMQ dialect. `RabbitMq::default()` is right for the embedded broker.
#[derive(Clone)]
pub struct RabbitMq {
    /// The largest frame that the broker accepts, in bytes; at least 512. Default 131 072, as in
    /// RabbitMQ.
    pub max_frame_size: u32,
    /// The largest message, in bytes. A link that sends a larger one is detached with
    /// `amqp:link:message-size-exceeded`. Default 128 MiB.
    pub max_message_size: u64,
    /// Names and passwords for SASL PLAIN. `None`, the default, admits everybody, with any
    /// mechanism or without SASL. With users, PLAIN is the only mechanism.
    pub users: Option<Vec<(String, String)>>,
    /// How often a message may be returned as failed before it is dead-lettered. The queue argument
    /// `x-delivery-limit` takes precedence. Default `None`: no limit.
    pub max_delivery_count: Option<u32>,
    /// Whether a queue is created on the first attach or message. Default true; if false, such an
    /// attach is refused with `amqp:not-found`.
    pub create_on_use: bool,
    /// Deliveries that a publisher may have sent and the broker has not read. Refilled once half is
    /// used. Default 1000, at least 1.
    pub publisher_credit: u32,
    /// Product and version that the broker states in its open. Default `None`: its own. For tests
    /// of clients that read them. A broker that poses as `RabbitMQ` also offers `LINK_PAIR_V1_0`.
    pub pose_as: Option<(String, String)>,
    /// The most sessions on one connection. Default 256.
    pub max_sessions: u16,
    /// The most links on one session. Default 256.
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
