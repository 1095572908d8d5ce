//! ActiveMQ Classic: queues by name, delays by its scheduler, figures by its statistics plugin.
//!
//! It counts every redelivery, even of jobs that no worker has seen. Therefore attempts are copies.

use super::statistics::Statistics;
use std::sync::Arc;

use crate::brokers::generic::{self, no_exchanges};
use crate::brokers::seams::companion::Companion;
use crate::brokers::seams::dialect::Dialect;
use crate::connection::{Ask, Connection, Remote};
use crate::error::condition::Condition;
use crate::error::{Error, Result};
use crate::format::envelope::DelayMark;
use crate::settings::endpoint::Endpoint;
use crate::settings::options::QueueOptions;
use crate::settings::retry::Redelivery;

#[derive(Debug)]
pub(crate) struct Classic;

impl Dialect for Classic {
    fn drains_early(&self) -> bool {
        true
    }

    fn name(&self) -> &'static str {
        "activemq"
    }

    fn queue_address(&self, queue: &str) -> String {
        format!("queue://{queue}")
    }

    fn exchange_address(&self, exchange: &str, _routing_key: &str) -> Result<String> {
        Err(no_exchanges(exchange))
    }

    fn check_name(&self, name: &str) -> Result<()> {
        super::no_wildcards(name, &["*", ">"])?;
        if name.contains([',', '?']) {
            return Err(Error::unsupported(format!(
                "'{name}': ActiveMQ reads ',' as a list of queues and '?' as the start of options; choose another name"
            )));
        }
        Ok(())
    }

    fn lacks(&self, options: &QueueOptions) -> Option<(&'static str, &'static str)> {
        generic::lacks(options)
    }

    fn asks(&self) -> Ask {
        Ask::ConfirmedQueue
    }

    fn relays(&self) -> bool {
        false
    }

    fn companion(
        &'static self,
        _: &Arc<Endpoint>,
        connection: &Connection,
    ) -> Result<Option<Arc<dyn Companion>>> {
        Ok(Some(Statistics::over(connection, self)))
    }

    /// It also counts unseen returns.
    fn counts_attempts(&self) -> bool {
        false
    }

    fn delay_mark(&self) -> Option<DelayMark> {
        Some(DelayMark::DeliveryDelay)
    }

    /// Its answer to a temporary queue that is no more.
    fn is_gone(&self, error: &Error) -> bool {
        error.is(Condition::INTERNAL_ERROR)
    }

    fn redelivery(&self, _: &Remote, _: Option<&str>) -> Option<Redelivery> {
        Some(Redelivery::Uncounted)
    }
}
