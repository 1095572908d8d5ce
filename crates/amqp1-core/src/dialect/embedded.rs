//! The broker of `crates/amqp1-broker`: RabbitMQ's addresses and management,
//! Service Bus's scheduling.

use super::{DelaySupport, Dialect};
use crate::address;
use crate::error::Result;

#[derive(Debug)]
pub(super) struct Embedded;

impl Dialect for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn queue_address(&self, queue: &str) -> String {
        address::queue(queue)
    }

    fn exchange_address(&self, exchange: &str, routing_key: &str) -> Result<String> {
        Ok(address::exchange(exchange, routing_key))
    }

    fn makes_what_is_missing(&self) -> bool {
        true
    }

    fn has_management(&self) -> bool {
        true
    }

    fn delay(&self) -> DelaySupport {
        DelaySupport::EnqueueTime
    }

    fn delays_redelivery(&self) -> bool {
        true
    }

    fn priority_property(&self) -> Option<&'static str> {
        Some("rabbitmq:priority")
    }
}
