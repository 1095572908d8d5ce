//! A queue that is looked after, and what can be told of it.

use crate::settings::options::QueueOptions;
use crate::settings::spec::Spec;

/// The configured queue, or one beside it, such as its failed queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub spec: &'a Spec,
    /// The name of one beside the configured queue.
    pub beside: Option<&'a str>,
}

impl<'a> Subject<'a> {
    /// The broker's name of it.
    pub fn queue(&self) -> &'a str {
        self.beside.unwrap_or(&self.spec.broker_queue)
    }

    /// For messages: `queue 'orders' at amqp://…`.
    pub fn describe(&self) -> String {
        format!("queue '{}' at {}", self.queue(), self.spec.endpoint.label())
    }

    /// The options of the configured queue, or what they say of one beside it.
    pub fn options(&self) -> std::borrow::Cow<'a, QueueOptions> {
        match self.beside {
            None => std::borrow::Cow::Borrowed(&self.spec.options),
            Some(_) => std::borrow::Cow::Owned(self.spec.options.beside()),
        }
    }

    /// Binding key of the exchange.
    pub fn routing_key(&self) -> &'a str {
        self.beside.unwrap_or(&self.spec.routing_key)
    }
}

/// Figures of one queue; `None` where the broker does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Can be delivered now.
    pub ready: u64,
    /// Wait for their time.
    pub delayed: Option<u64>,
    /// Delivered and not settled.
    pub reserved: Option<u64>,
    /// Consumers attached.
    pub consumers: Option<u64>,
}
