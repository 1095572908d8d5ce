//! Any other AMQP 1.0 broker: plain queue names, and nothing beyond the standard.

use super::seams::dialect::Dialect;
use crate::connection::{Ask, Remote};
use crate::error::{Error, Result};
use crate::format::history::Ledger;
use crate::settings::options::QueueOptions;
use crate::settings::retry::Redelivery;

#[derive(Debug)]
pub(super) struct Generic;

impl Dialect for Generic {
    fn drains_early(&self) -> bool {
        // Unknown, so the slow but safe assumption.
        true
    }

    fn name(&self) -> &'static str {
        "generic"
    }

    fn queue_address(&self, queue: &str) -> String {
        queue.to_owned()
    }

    fn exchange_address(&self, exchange: &str, _routing_key: &str) -> Result<String> {
        Err(no_exchanges(exchange))
    }

    fn lacks(&self, options: &QueueOptions) -> Option<(&'static str, &'static str)> {
        lacks(options)
    }

    fn asks(&self) -> Ask {
        Ask::Queue
    }

    /// If only a message names a queue, the broker cannot be asked about it.
    fn relays(&self) -> bool {
        false
    }

    /// Unknown whether the broker keeps our counts; a copy always does.
    fn redelivery(&self, _: &Remote, _: Option<&str>) -> Option<Redelivery> {
        Some(Redelivery::Uncounted)
    }

    fn ledger(&self, _: &Remote) -> Ledger {
        Ledger::Lost
    }

    fn counts_end(&self) -> bool {
        // Qpid does; unknown for others.
        true
    }

    fn delivery_limit(&self) -> Option<u32> {
        Some(10)
    }
}

/// The first option that a broker cannot support if it knows queues only by name.
pub(super) fn lacks(options: &QueueOptions) -> Option<(&'static str, &'static str)> {
    if options.exchange.is_some() {
        return Some((
            "exchange",
            "this broker has no exchanges; remove the option",
        ));
    }
    let declared = options.declared()?;
    Some((
        declared,
        "this broker cannot declare queues over AMQP 1.0; set up the queue with the broker's own tools and remove the option, or set 'declare' to false",
    ))
}

/// The error for an exchange on a broker that knows only addresses.
pub(super) fn no_exchanges(exchange: &str) -> Error {
    Error::unsupported(format!(
        "exchange '{exchange}': this broker has no exchanges; remove the option"
    ))
}
