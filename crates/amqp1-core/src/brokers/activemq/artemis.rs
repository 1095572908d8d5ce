//! ActiveMQ Artemis: a link's request decides whether an address is a queue or a topic.
//!
//! It moves a message to its dead-letter address after ten deliveries (`max-delivery-attempts`),
//! regardless of who counts. Therefore each attempt is a copy, whose count starts at zero.

use super::control::Control;
use std::sync::Arc;

use crate::brokers::generic::{self, no_exchanges};
use crate::brokers::seams::companion::Companion;
use crate::brokers::seams::dialect::Dialect;
use crate::connection::{Ask, Connection, Remote};
use crate::error::condition::Condition;
use crate::error::{Error, Result};
use crate::format::envelope::DelayMark;
use crate::format::history::Ledger;
use crate::settings::endpoint::Endpoint;
use crate::settings::options::QueueOptions;
use crate::settings::retry::Redelivery;

#[derive(Debug)]
pub(crate) struct Artemis;

impl Dialect for Artemis {
    fn drains_early(&self) -> bool {
        true
    }

    fn name(&self) -> &'static str {
        "artemis"
    }

    fn queue_address(&self, queue: &str) -> String {
        queue.to_owned()
    }

    fn exchange_address(&self, exchange: &str, _routing_key: &str) -> Result<String> {
        Err(no_exchanges(exchange))
    }

    fn check_name(&self, name: &str) -> Result<()> {
        super::no_wildcards(name, &["*", "#"])
    }

    fn lacks(&self, options: &QueueOptions) -> Option<(&'static str, &'static str)> {
        generic::lacks(options)
    }

    fn asks(&self) -> Ask {
        Ask::ConfirmedQueue
    }

    fn explain(&self, error: Error) -> Error {
        // Artemis refuses a link with this condition if it requires a queue and the address is a
        // topic.
        if !error.is(Condition::ILLEGAL_STATE) {
            return error;
        }
        Error::unsupported(format!(
            "the address is a topic (multicast), which would lose jobs or deliver them to several consumers; make it an anycast queue, or use another name ({})",
            error.message()
        ))
    }

    /// If only a message names an address, Artemis creates it as a topic.
    fn relays(&self) -> bool {
        false
    }

    fn companion(
        &'static self,
        _: &Arc<Endpoint>,
        connection: &Connection,
    ) -> Result<Option<Arc<dyn Companion>>> {
        Ok(Some(Control::over(connection, self)))
    }

    fn delay_mark(&self) -> Option<DelayMark> {
        Some(DelayMark::DeliveryDelay)
    }

    fn priority_property(&self) -> Option<&'static str> {
        Some("priority")
    }

    fn redelivery(&self, _: &Remote, _: Option<&str>) -> Option<Redelivery> {
        Some(Redelivery::Uncounted)
    }

    fn ledger(&self, _: &Remote) -> Ledger {
        Ledger::Lost
    }

    fn delivery_limit(&self) -> Option<u32> {
        Some(10)
    }
}
