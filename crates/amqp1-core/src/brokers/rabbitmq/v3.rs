//! RabbitMQ 3.8 to 3.13 with its plugin `rabbitmq_amqp1_0`: addresses v1, no management.
//!
//! The plugin publishes without 0-9-1's "mandatory" flag, so a job for a missing queue is confirmed
//! and lost. It supports three outcomes, accepted, rejected and released; `modified` ends the
//! session.

use std::sync::Arc;

use super::address_v1;
use super::declare_by_attaching::DeclareByAttaching;
use crate::brokers::seams::companion::Companion;
use crate::brokers::seams::dialect::Dialect;
use crate::brokers::seams::replies::Replies;
use crate::connection::{Connection, Remote};
use crate::error::{Error, Result};
use crate::format::PropertyMapping;
use crate::settings::endpoint::Endpoint;
use crate::settings::retry::Redelivery;

#[derive(Debug)]
pub(crate) struct RabbitMq3;

impl Dialect for RabbitMq3 {
    fn name(&self) -> &'static str {
        "rabbitmq3"
    }

    fn queue_address(&self, queue: &str) -> String {
        address_v1::queue(queue)
    }

    fn exchange_address(&self, exchange: &str, routing_key: &str) -> Result<String> {
        self.check_name(exchange)?;
        self.check_name(routing_key)?;
        Ok(address_v1::exchange(exchange, routing_key))
    }

    fn check_name(&self, name: &str) -> Result<()> {
        if name.contains("%2F") {
            return Err(Error::unsupported(format!(
                "'{name}': RabbitMQ 3 reads '%2F' in an address as '/' and offers no other way to write it; choose another name, or use RabbitMQ 4"
            )));
        }
        Ok(())
    }

    fn companion(
        &'static self,
        _: &Arc<Endpoint>,
        connection: &Connection,
    ) -> Result<Option<Arc<dyn Companion>>> {
        Ok(Some(DeclareByAttaching::over(connection, self)))
    }

    fn confirms_what_it_loses(&self) -> bool {
        true
    }

    fn overruns_credit(&self) -> bool {
        true
    }

    fn drains(&self) -> bool {
        // Draining an empty classic queue ends the session (function_clause, send_drained).
        false
    }

    fn checks_user_id(&self) -> bool {
        true
    }

    fn dead_letters_rejected(&self) -> bool {
        true
    }

    fn property_mapping(&self) -> PropertyMapping {
        PropertyMapping::Annotations
    }

    /// The plugin refuses dynamic nodes, and no queue that it declares goes away with its consumer.
    fn replies(&self, _: &Remote) -> Replies {
        Replies::None("RabbitMQ 3 makes no temporary queues over AMQP 1.0; use RabbitMQ 4")
    }

    fn reply_address(&self, reply_to: &str) -> String {
        match reply_to.starts_with('/') {
            true => reply_to.to_owned(),
            false => address_v1::queue(reply_to),
        }
    }

    fn redelivery(&self, _remote: &Remote, _queue_type: Option<&str>) -> Option<Redelivery> {
        Some(Redelivery::Uncounted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_address_can_write_is_refused() {
        assert!(RabbitMq3.check_name("a%2Fb").is_err());
        assert!(RabbitMq3.check_name("a%2fb").is_ok());
    }
}
