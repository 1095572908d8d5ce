//! The checked description of a queue, with which every operation on it begins.

use crate::error::{Error, Result};
use crate::settings::options::QueueOptions;
use crate::settings::retry::BROKERS_OWN;
use crate::settings::shared_endpoint::SharedEndpoint;

/// One queue, as configured.
#[derive(Debug)]
pub(crate) struct Spec {
    pub endpoint: SharedEndpoint,
    /// The broker's name of the queue.
    pub broker_queue: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The binding key, and the routing key of jobs that set none.
    pub routing_key: String,
    pub options: QueueOptions,
}

impl Spec {
    pub fn new(
        endpoint: SharedEndpoint,
        queue: String,
        pipeline: String,
        options: QueueOptions,
    ) -> Self {
        Self {
            endpoint,
            routing_key: options.routing_key.clone().unwrap_or_else(|| queue.clone()),
            broker_queue: queue,
            pipeline,
            options,
        }
    }

    /// For messages: `queue 'orders' at amqp://…`.
    pub fn describe(&self) -> String {
        format!("queue '{}' at {}", self.broker_queue, self.endpoint.label())
    }

    /// The queue that the configured dead-letter exchange leads to. The client, not the broker,
    /// sends a job there: then the transfer is confirmed and the job carries its failure.
    ///
    /// # Errors
    /// Unsupported if the options do not determine the queue.
    pub fn dead_letter_queue(&self) -> Result<String> {
        let topology = &self.options.topology;
        let exchange = topology.dead_letter_exchange.as_deref();
        let problem = match (exchange, &topology.dead_letter_routing_key) {
            // The default exchange routes by queue name.
            (Some(""), Some(name)) => return Ok(name.clone()),
            (Some(""), None) => {
                "leads back to the queue itself: set the option dead_letter_routing_key to a queue"
                    .to_owned()
            }
            (Some(exchange), _) => format!(
                "is behind exchange '{exchange}', which may lead to any queue: name the queue in failed_queue"
            ),
            (None, _) => "is not configured: set the options dead_letter_exchange ('') and dead_letter_routing_key, or name a queue in failed_queue".to_owned(),
        };
        Err(Error::unsupported(format!(
            "{}: failed_queue '{BROKERS_OWN}': its dead-letter queue {problem}",
            self.describe()
        )))
    }
}
