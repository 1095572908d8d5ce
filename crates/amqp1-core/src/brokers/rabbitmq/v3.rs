//! RabbitMQ 3.8 to 3.13 with its plugin `rabbitmq_amqp1_0`: addresses v1, no management.
//!
//! The plugin publishes without 0-9-1's "mandatory": a job for a queue that does
//! not exist is confirmed and lost. It knows three outcomes, accepted, rejected
//! and released; `modified` ends the session.

use crate::brokers::seams::dialect::{DelaySupport, Dialect};
use crate::connection::Remote;
use crate::error::{Error, Result};
use crate::format::PropertyMapping;
use crate::settings::retry::Redelivery;

#[derive(Debug)]
pub(crate) struct RabbitMq3;

impl Dialect for RabbitMq3 {
    fn name(&self) -> &'static str {
        "rabbitmq3"
    }

    fn queue_address(&self, queue: &str) -> String {
        format!("/amq/queue/{}", segment(queue))
    }

    fn exchange_address(&self, exchange: &str, routing_key: &str) -> Result<String> {
        self.check_name(exchange)?;
        self.check_name(routing_key)?;
        Ok(format!(
            "/exchange/{}/{}",
            segment(exchange),
            segment(routing_key)
        ))
    }

    fn check_name(&self, name: &str) -> Result<()> {
        if name.contains("%2F") {
            return Err(Error::unsupported(format!(
                "'{name}': RabbitMQ 3 reads '%2F' in an address as '/', and has no other way to write it; choose another name, or use RabbitMQ 4"
            )));
        }
        Ok(())
    }

    fn declaring_address(&self, queue: &str) -> Option<String> {
        Some(format!("/queue/{}", segment(queue)))
    }

    fn confirms_what_it_loses(&self) -> bool {
        true
    }

    fn overruns_credit(&self) -> bool {
        true
    }

    fn has_management(&self) -> bool {
        false
    }

    fn drains(&self) -> bool {
        // Of an empty classic queue it ends the session (function_clause, send_drained).
        false
    }

    fn property_mapping(&self) -> PropertyMapping {
        PropertyMapping::Annotations
    }

    fn delay(&self) -> DelaySupport {
        DelaySupport::Unsupported
    }

    fn redelivery(&self, _remote: &Remote, _queue_type: Option<&str>) -> Option<Redelivery> {
        Some(Redelivery::Uncounted)
    }
}

/// A name as the plugin takes it: it undoes `%2F` and nothing else, and makes
/// one byte of each character. So each byte of the UTF-8 is written as the
/// character of that number.
fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'/' => out.push_str("%2F"),
            byte => out.push(char::from(byte)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_anything_in_them() {
        assert_eq!(segment("a b/c%"), "a b%2Fc%");
        assert_eq!(segment("ž"), "\u{c5}\u{be}");
        assert!(RabbitMq3.check_name("a%2Fb").is_err());
        assert!(RabbitMq3.check_name("a%2fb").is_ok());
    }
}
