//! One pipeline of a configuration; its queue is created on demand.

use once_cell::sync::OnceCell;

use crate::error::{Error, Result};
use crate::queue::Queue;
use crate::settings::endpoint::Endpoint;
use crate::settings::options::QueueOptions;

/// A checked pipeline. Its TLS files are read when the queue is created.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub name: String,
    pub queue: String,
    /// `None` if the configuration has no address for it.
    pub endpoint: Option<Endpoint>,
    pub options: QueueOptions,
    made: OnceCell<Queue>,
}

impl Pipeline {
    pub fn new(
        name: &str,
        queue: String,
        endpoint: Option<Endpoint>,
        options: QueueOptions,
    ) -> Self {
        let options = QueueOptions {
            name: Some(name.to_owned()),
            ..options
        };
        Self {
            name: name.to_owned(),
            queue,
            endpoint,
            options,
            made: OnceCell::new(),
        }
    }

    /// The queue, the same one each time.
    pub fn queue(&self) -> Result<Queue> {
        let queue = self.made.get_or_try_init(|| {
            let Some(endpoint) = &self.endpoint else {
                return Err(Error::config(
                    "amqp1.addr: missing; set it to the broker's address, such as amqp://user:password@localhost:5672",
                ));
            };
            Queue::at(endpoint.clone(), &self.queue, self.options.clone())
        });
        queue
            .cloned()
            .map_err(|error| error.context(format!("pipeline '{}'", self.name)))
    }
}
