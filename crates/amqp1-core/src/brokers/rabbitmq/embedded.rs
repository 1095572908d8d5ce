//! The broker in `crates/amqp1-broker`: RabbitMQ's addresses and management, Service Bus's
//! scheduling.

use std::sync::Arc;

use super::address;
use super::managed::{Delays, Managed};
use crate::brokers::seams::companion::Companion;
use crate::brokers::seams::dialect::Dialect;
use crate::connection::{Connection, Remote};
use crate::error::Result;
use crate::format::envelope::DelayMark;
use crate::format::history::Ledger;
use crate::format::PropertyMapping;
use crate::settings::endpoint::Endpoint;
use crate::settings::retry::Redelivery;

#[derive(Debug)]
pub(crate) struct Embedded;

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

    fn companion(
        &'static self,
        _: &Arc<Endpoint>,
        connection: &Connection,
    ) -> Result<Option<Arc<dyn Companion>>> {
        Ok(Some(Managed::over(connection, Delays::Itself)))
    }

    fn delay_mark(&self) -> Option<DelayMark> {
        Some(DelayMark::EnqueueTime)
    }

    fn redelivery(&self, _: &Remote, _: Option<&str>) -> Option<Redelivery> {
        Some(Redelivery::Delayed)
    }

    fn returns_freely(&self, _: &Remote) -> bool {
        true
    }

    fn ledger(&self, _: &Remote) -> Ledger {
        Ledger::All
    }

    fn is_route(&self, to: &[u8]) -> bool {
        address::is_one(to)
    }

    fn tells_first_acquirer(&self) -> bool {
        true
    }

    fn dead_letters_rejected(&self) -> bool {
        true
    }

    fn property_mapping(&self) -> PropertyMapping {
        PropertyMapping::Annotations
    }

    fn consumer_timeout_property(&self, _: &Remote, _: Option<&str>) -> Option<&'static str> {
        Some("rabbitmq:consumer-timeout")
    }

    fn reply_address(&self, reply_to: &str) -> String {
        address::of_reply(reply_to)
    }

    fn priority_property(&self) -> Option<&'static str> {
        Some("rabbitmq:priority")
    }
}
