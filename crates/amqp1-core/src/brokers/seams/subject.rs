//! The queue that an administrative operation concerns, and its figures.

use crate::settings::options::QueueOptions;
use crate::settings::spec::Spec;

/// The configured queue, or a related one such as its failed queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub spec: &'a Spec,
    /// The name of the related queue.
    pub beside: Option<&'a str>,
}

impl<'a> Subject<'a> {
    /// The broker's name of the queue.
    pub fn queue(&self) -> &'a str {
        self.beside.unwrap_or(&self.spec.broker_queue)
    }

    /// For messages: `queue 'orders' at amqp://…`.
    pub fn describe(&self) -> String {
        format!("queue '{}' at {}", self.queue(), self.spec.endpoint.label())
    }

    /// The options of the configured queue, or those derived for a related one.
    pub fn options(&self) -> std::borrow::Cow<'a, QueueOptions> {
        match self.beside {
            None => std::borrow::Cow::Borrowed(&self.spec.options),
            Some(_) => std::borrow::Cow::Owned(self.spec.options.beside()),
        }
    }

    /// The exchange's binding key.
    pub fn routing_key(&self) -> &'a str {
        self.beside.unwrap_or(&self.spec.routing_key)
    }
}

/// Figures of one queue; `None` if the broker does not report them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Jobs that can be delivered now.
    pub ready: u64,
    /// Jobs that wait for their time.
    pub delayed: Option<u64>,
    /// Jobs that are delivered and not settled.
    pub reserved: Option<u64>,
    /// Attached consumers.
    pub consumers: Option<u64>,
}
