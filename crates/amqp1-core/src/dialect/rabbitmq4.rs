//! RabbitMQ 4: native AMQP 1.0, addresses v2, management over a link pair.

use super::{DelaySupport, Dialect, PropertyMapping};
use crate::address;
use crate::error::Result;

#[derive(Debug)]
pub(super) struct RabbitMq4;

impl Dialect for RabbitMq4 {
    fn name(&self) -> &'static str {
        "rabbitmq4"
    }

    fn queue_address(&self, queue: &str) -> String {
        address::queue(queue)
    }

    fn exchange_address(&self, exchange: &str, routing_key: &str) -> Result<String> {
        Ok(address::exchange(exchange, routing_key))
    }

    fn has_management(&self) -> bool {
        true
    }

    fn delay(&self) -> DelaySupport {
        DelaySupport::DelayQueues
    }

    fn property_mapping(&self) -> PropertyMapping {
        PropertyMapping::RabbitMq
    }

    fn priority_property(&self) -> Option<&'static str> {
        Some("rabbitmq:priority")
    }
}
