//! Any other AMQP 1.0 broker: plain queue names, and nothing beyond the standard.

use super::{DelaySupport, Dialect};
use crate::error::{Error, Result};

#[derive(Debug)]
pub(super) struct Generic;

impl Dialect for Generic {
    fn name(&self) -> &'static str {
        "generic"
    }

    fn queue_address(&self, queue: &str) -> String {
        queue.to_owned()
    }

    fn exchange_address(&self, exchange: &str, _routing_key: &str) -> Result<String> {
        Err(Error::unsupported(format!(
            "exchange '{exchange}': this broker has no exchanges; leave the option out"
        )))
    }

    fn has_management(&self) -> bool {
        false
    }

    fn delay(&self) -> DelaySupport {
        DelaySupport::Unsupported
    }
}
