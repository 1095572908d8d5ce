//! The destination of a job.

use crate::format::envelope::ROUTING_KEY_HEADER;
use crate::job::{HeaderValue, Job};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// The queue or exchange in the configuration.
    Usual,
    /// The same with another routing key.
    Key(String),
    /// Directly to a queue by its name.
    Queue(String),
    /// To an address that another client gave: a message's reply-to.
    ReplyTo(String),
}

impl Destination {
    /// The destination that a job requests: by its option `routing_key` or its header
    /// `x-routing-key`.
    pub fn of(job: &Job<'_>) -> Self {
        if let Some(key) = &job.options.routing_key {
            return Destination::Key(key.to_string());
        }
        let mut headers = job.options.headers.iter();
        let key = headers.find_map(|(name, value)| match (name.as_ref(), value) {
            (ROUTING_KEY_HEADER, HeaderValue::Text(key)) => Some(key.to_string()),
            _ => None,
        });
        key.map_or(Destination::Usual, Destination::Key)
    }
}
