//! The recipient of a job.

use crate::settings::spec::Spec;

/// An exchange and a routing key; without an exchange, a queue's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recipient<'a> {
    pub exchange: Option<&'a str>,
    pub key: &'a str,
}

impl<'a> Recipient<'a> {
    /// A queue, not through an exchange.
    pub fn queue(name: &'a str) -> Self {
        Self {
            exchange: None,
            key: name,
        }
    }

    /// The recipient in the queue's configuration.
    pub fn usual(spec: &'a Spec) -> Self {
        let exchange = spec.options.exchange.as_deref();
        Self {
            exchange,
            key: match exchange {
                None => &spec.broker_queue,
                Some(_) => &spec.routing_key,
            },
        }
    }
}
