//! The broker of `crates/amqp1-broker`: RabbitMQ's addresses and management,
//! Service Bus's scheduling.

use super::seams::dialect::{DelaySupport, Dialect};
use crate::brokers::rabbitmq::address;
use crate::connection::Remote;
use crate::error::Result;
use crate::format::history::Ledger;
use crate::format::PropertyMapping;
use crate::settings::retry::Redelivery;

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

    fn redelivery(&self, _: &Remote, _: Option<&str>) -> Option<Redelivery> {
        Some(Redelivery::Delayed)
    }

    fn ledger(&self, _: &Remote) -> Ledger {
        Ledger::All
    }

    fn property_mapping(&self) -> PropertyMapping {
        PropertyMapping::Annotations
    }

    fn consumer_timeout_property(&self, _: &Remote, _: Option<&str>) -> Option<&'static str> {
        Some("rabbitmq:consumer-timeout")
    }

    fn priority_property(&self) -> Option<&'static str> {
        Some("rabbitmq:priority")
    }
}
