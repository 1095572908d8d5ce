//! What a job is addressed to.

use super::dialect::Dialect;
use crate::error::Result;

/// An exchange and a routing key; without the exchange, a queue's name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipient<'a> {
    pub exchange: Option<&'a str>,
    pub key: &'a str,
}

impl Recipient<'_> {
    pub fn address(&self, dialect: &dyn Dialect) -> Result<String> {
        match self.exchange {
            Some(exchange) => dialect.exchange_address(exchange, self.key),
            // The default exchange routes by queue name.
            None => {
                dialect.check_name(self.key)?;
                Ok(dialect.queue_address(self.key))
            }
        }
    }

    /// What its delay queues are named after.
    pub fn target(&self) -> String {
        match self.exchange {
            Some(exchange) => format!("{exchange}/{}", self.key),
            None => self.key.to_owned(),
        }
    }
}
