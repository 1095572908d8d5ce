//! What a job is addressed to.

use crate::settings::spec::Spec;

/// An exchange and a routing key; without the exchange, a queue's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recipient<'a> {
    pub exchange: Option<&'a str>,
    pub key: &'a str,
}

impl<'a> Recipient<'a> {
    /// A queue, past any exchange.
    pub fn queue(name: &'a str) -> Self {
        Self {
            exchange: None,
            key: name,
        }
    }

    /// As the queue is configured.
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
