//! Azure Service Bus: entities by their names, tokens, peek-lock, scheduling.

use crate::brokers::{DelaySupport, Dialect, PropertyMapping};
use crate::error::{Error, Result};
use crate::settings::options::QueueOptions;

#[derive(Debug)]
pub(in crate::brokers) struct ServiceBus;

impl Dialect for ServiceBus {
    fn name(&self) -> &'static str {
        "servicebus"
    }

    fn queue_address(&self, queue: &str) -> String {
        queue.to_owned()
    }

    fn exchange_address(&self, exchange: &str, _routing_key: &str) -> Result<String> {
        Err(Error::unsupported(format!(
            "exchange '{exchange}': Service Bus has no exchanges; push to a topic by its name, and leave the option out"
        )))
    }

    fn lacks(&self, options: &QueueOptions) -> Option<(&'static str, &'static str)> {
        if options.exchange.is_some() {
            return Some((
                "exchange",
                "Service Bus has no exchanges; push to a topic by its name, and leave the option out",
            ));
        }
        let declared = options.topology.declared(options)?;
        Some((
            declared,
            "Service Bus declares nothing over AMQP; make the queue in Azure as it is to be, and leave the option out, or set 'declare' to false",
        ))
    }

    fn has_management(&self) -> bool {
        false
    }

    fn delay(&self) -> DelaySupport {
        DelaySupport::EnqueueTime
    }

    fn property_mapping(&self) -> PropertyMapping {
        PropertyMapping::ServiceBus
    }

    fn is_service_bus(&self) -> bool {
        true
    }
}
