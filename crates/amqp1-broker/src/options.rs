//! A broker's options, and the dialect that they choose.

use std::sync::Arc;
use std::time::Duration;

use crate::amqp::shared::Shared;
use crate::amqp::transport::Timeouts;
use crate::rabbitmq::RabbitMq;
use crate::served::Served;
#[cfg(feature = "servicebus")]
use crate::servicebus::ServiceBus;

/// A broker's options. `Options::default()` is right for the embedded broker.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a peer may be silent. The broker announces this time, and drops the peer after
    /// twice as long (AMQP 1.0 section 2.4.5). Default 60 s; zero: no limit.
    pub idle_timeout: Duration,
    /// How long a peer may take from connecting to sending its `open`. Default 20 s.
    pub handshake_timeout: Duration,
    /// Settings of the RabbitMQ dialect, which is the default.
    pub rabbitmq: RabbitMq,
    /// If set, the broker speaks the Azure Service Bus dialect with these settings, instead of
    /// RabbitMQ's. Default `None`.
    #[cfg(feature = "servicebus")]
    pub service_bus: Option<ServiceBus>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(20),
            rabbitmq: RabbitMq::default(),
            #[cfg(feature = "servicebus")]
            service_bus: None,
        }
    }
}

impl Options {
    /// The defaults of a dialect, `rabbitmq` or `servicebus`; `None` if it is not built in.
    pub fn of_dialect(dialect: &str) -> Option<Self> {
        match dialect {
            "rabbitmq" => Some(Self::default()),
            #[cfg(feature = "servicebus")]
            "servicebus" => Some(Self {
                service_bus: Some(ServiceBus::default()),
                ..Self::default()
            }),
            _ => None,
        }
    }

    /// Creates the broker's shared state in the chosen dialect.
    pub(crate) fn open(self, container_id: String) -> Arc<dyn Served> {
        let timeouts = Timeouts {
            idle: self.idle_timeout,
            handshake: self.handshake_timeout,
        };
        #[cfg(feature = "servicebus")]
        if let Some(settings) = self.service_bus {
            return Arc::new(Shared::new(container_id, timeouts, settings));
        }
        Arc::new(Shared::new(container_id, timeouts, self.rabbitmq))
    }
}
