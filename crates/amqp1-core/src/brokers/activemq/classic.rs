//! ActiveMQ Classic: queues by name, delays by its scheduler, figures by its statistics
//! plugin.
//!
//! It counts every redelivery, of jobs that nobody has seen as well: attempts are
//! copies of ours.

use super::scheduler;
use super::statistics::Statistics;
use crate::base::wait::Wait;
use crate::brokers::generic::{self, no_exchanges};
use crate::brokers::seams::administration::Administration;
use crate::brokers::seams::dialect::{DelaySupport, Dialect};
use crate::connection::{Ask, Connection, Remote};
use crate::error::{Error, Result};
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
                "'{name}': ActiveMQ takes ',' for several queues and '?' for options; choose another name"
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

    fn has_management(&self) -> bool {
        false
    }

    fn administration(&self) -> Option<&'static dyn Administration> {
        Some(&Statistics)
    }

    /// It counts what was given back unseen as well.
    fn counts_attempts(&self) -> bool {
        false
    }

    fn delay(&self) -> DelaySupport {
        DelaySupport::DeliveryDelay
    }

    fn keeps_delays(&self, connection: &Connection, wait: &Wait<'_>) -> Result<()> {
        scheduler::keeps_delays(connection, wait)
    }

    fn redelivery(&self, _: &Remote, _: Option<&str>) -> Option<Redelivery> {
        Some(Redelivery::Uncounted)
    }
}
