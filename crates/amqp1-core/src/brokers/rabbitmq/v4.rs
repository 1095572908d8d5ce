//! RabbitMQ 4: native AMQP 1.0, addresses v2, management over a link pair.

use std::sync::Arc;
use std::time::Duration;

use super::address;
use super::managed::{Delays, Managed};
use crate::brokers::seams::companion::Companion;
use crate::brokers::seams::dialect::Dialect;
use crate::brokers::seams::replies::Replies;
use crate::connection::{Connection, Dynamic, Remote};
use crate::error::Result;
use crate::format::history::Ledger;
use crate::format::PropertyMapping;
use crate::settings::endpoint::Endpoint;
use crate::settings::retry::Redelivery;

/// RabbitMQ's default `consumer_timeout`.
const CONSUMER_TIMEOUT: Duration = Duration::from_secs(1800);

#[derive(Debug)]
pub(crate) struct RabbitMq4;

impl Dialect for RabbitMq4 {
    fn name(&self) -> &'static str {
        "rabbitmq4"
    }

    fn queue_address(&self, queue: &str) -> String {
        address::queue(queue)
    }

    fn exchange_address(&self, exchange: &str, routing_key: &str) -> Result<String> {
        Ok(address::exchange(exchange, routing_key))
    }

    /// One process handles a session, and delivers a message to its queues before it looks at the
    /// next frame, so several links keep the order. Each has a credit of 170, which a classic queue
    /// uses up faster than it is renewed; more than three are not faster.
    fn further_lanes(&self) -> u32 {
        2
    }

    fn companion(
        &'static self,
        _: &Arc<Endpoint>,
        connection: &Connection,
    ) -> Result<Option<Arc<dyn Companion>>> {
        Ok(Some(Managed::over(connection, Delays::Queues)))
    }

    fn checks_user_id(&self) -> bool {
        true
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

    fn redelivery(&self, remote: &Remote, queue_type: Option<&str>) -> Option<Redelivery> {
        // From 4.3 on, classic queues count deliveries, but do not keep our records of why.
        let delays = at_least(&remote.version, (4, 3));
        Some(match (queue_type?, delays) {
            ("quorum", true) => Redelivery::Delayed,
            ("quorum", false) => Redelivery::Counted,
            _ => Redelivery::Uncounted,
        })
    }

    /// Before 4.3, a return counts towards the delivery limit, and moves the job to the end of a
    /// quorum queue.
    fn returns_freely(&self, remote: &Remote) -> bool {
        at_least(&remote.version, (4, 3))
    }

    fn ledger(&self, remote: &Remote) -> Ledger {
        match at_least(&remote.version, (4, 3)) {
            true => Ledger::All,
            false => Ledger::Failed,
        }
    }

    fn consumer_timeout_property(
        &self,
        remote: &Remote,
        queue_type: Option<&str>,
    ) -> Option<&'static str> {
        let is_quorum = queue_type.is_none_or(|queue_type| queue_type == "quorum");
        let has_it = is_quorum && at_least(&remote.version, (4, 3));
        has_it.then_some("rabbitmq:consumer-timeout")
    }

    fn usual_consumer_timeout(&self, remote: &Remote) -> Option<Duration> {
        at_least(&remote.version, (4, 3)).then_some(CONSUMER_TIMEOUT)
    }

    /// Direct reply-to, which came with 4.2. It keeps no replies, and has no queue to delete.
    fn replies(&self, remote: &Remote) -> Replies {
        match at_least(&remote.version, (4, 2)) {
            true => Replies::Dynamic(Dynamic {
                capability: Some("rabbitmq:volatile-queue"),
                settled: true,
            }),
            false => Replies::Exclusive,
        }
    }

    fn reply_address(&self, reply_to: &str) -> String {
        address::of_reply(reply_to)
    }

    fn priority_property(&self) -> Option<&'static str> {
        Some("rabbitmq:priority")
    }
}

/// Whether the version, such as `4.3.6` or `4.3.0-rc.1`, is at least this one.
fn at_least(version: &str, wanted: (u32, u32)) -> bool {
    let mut numbers = version.split(['.', '-', '+']).map(|part| part.parse().ok());
    let mut next = || numbers.next().flatten().unwrap_or(0_u32);
    (next(), next()) >= wanted
}

#[cfg(test)]
mod tests {
    use super::at_least;

    #[test]
    fn versions_are_compared_as_numbers() {
        for version in ["4.3.0", "4.3.0-rc.1", "4.10.2", "5.0"] {
            assert!(at_least(version, (4, 3)), "{version}");
        }
        for version in ["4.0.5", "4.2.13", "3.13.7", "", "unknown"] {
            assert!(!at_least(version, (4, 3)), "{version}");
        }
    }
}
