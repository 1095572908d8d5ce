//! Azure Service Bus: entities by their names, tokens, peek-lock, scheduling.

use std::sync::Arc;
use std::time::Duration;

use super::batch_message::Batches;
use super::constants::NOT_ALLOWED;
use super::{entity, refusal, renewal};
use crate::brokers::seams::companion::Companion;
use crate::brokers::seams::dialect::Dialect;
use crate::brokers::seams::packing::Packing;
use crate::brokers::seams::replies::Replies;
use crate::connection::{Connection, Remote};
use crate::error::{Error, Result};
use crate::format::envelope::DelayMark;
use crate::format::history::Ledger;
use crate::format::PropertyMapping;
use crate::settings::endpoint::Endpoint;
use crate::settings::options::QueueOptions;

/// Options that it does not support, each with the reason.
const IGNORED: [(&str, &str); 14] = [
    ("exchange", "it has no exchanges; jobs go to the queue"),
    ("exchange_type", "it has no exchanges"),
    ("routing_key", "it has no exchanges; jobs go to the queue"),
    ("bindings", "it has no exchanges"),
    ("exclusive", "its queues do not belong to connections"),
    ("queue_type", "it has only one type of queue"),
    ("arguments", "its queues are configured in Azure"),
    ("max_length", "its queues are configured in Azure"),
    ("overflow", "its queues are configured in Azure"),
    ("dead_letter_exchange", "its queues are configured in Azure"),
    (
        "dead_letter_routing_key",
        "its queues are configured in Azure",
    ),
    (
        "single_active_consumer",
        "a session there has only one consumer",
    ),
    ("max_priority", "it has no priorities"),
    (
        "consumer_timeout",
        "max_lock_renewal limits there how long a job may take",
    ),
];

#[derive(Debug)]
pub(crate) struct ServiceBus;

impl Dialect for ServiceBus {
    fn name(&self) -> &'static str {
        "servicebus"
    }

    fn queue_address(&self, queue: &str) -> String {
        queue.to_owned()
    }

    fn exchange_address(&self, exchange: &str, _routing_key: &str) -> Result<String> {
        Err(Error::unsupported(format!(
            "exchange '{exchange}': Service Bus has no exchanges; push to a topic by its name, and remove the option"
        )))
    }

    fn lacks(&self, options: &QueueOptions) -> Option<(&'static str, &'static str)> {
        if options.exchange.is_some() {
            return Some((
                "exchange",
                "Service Bus has no exchanges; push to a topic by its name, and remove the option",
            ));
        }
        let declared = options.declared()?;
        Some((
            declared,
            "Service Bus cannot declare queues over AMQP; configure the queue in Azure and remove the option, or set 'declare' to false",
        ))
    }

    fn companion(
        &'static self,
        endpoint: &Arc<Endpoint>,
        connection: &Connection,
    ) -> Result<Option<Arc<dyn Companion>>> {
        Ok(Some(renewal::start(endpoint, connection)?))
    }

    fn delay_mark(&self) -> Option<DelayMark> {
        Some(DelayMark::EnqueueTime)
    }

    fn property_mapping(&self) -> PropertyMapping {
        PropertyMapping::Typed
    }

    fn has_partitions(&self) -> bool {
        true
    }

    fn has_sessions(&self) -> bool {
        true
    }

    fn advise(&self, error: &Error, has_session: bool) -> Option<&'static str> {
        (error.condition() == Some(NOT_ALLOWED)).then_some(match has_session {
            true => "if it has no sessions, remove the option 'session'",
            false => "if it has sessions, set the consumer's option 'session' (with receiveDeferred(), pass the session's id); to consume from a topic, use 'topic/Subscriptions/name'",
        })
    }

    fn schedules(&self) -> bool {
        true
    }

    fn defers(&self) -> bool {
        true
    }

    fn dead_letters_rejected(&self) -> bool {
        true
    }

    fn declares_nothing(&self) -> bool {
        true
    }

    fn drops_duplicates(&self) -> bool {
        true
    }

    fn takes_jobs(&self, queue: &str) -> bool {
        !entity::takes_no_copy(queue)
    }

    fn dead_letter_queue(&self, queue: &str) -> Option<String> {
        Some(entity::dead_letter_queue(queue))
    }

    /// It allows thousands of sessions, and requires a token on each connection.
    fn spreads_links(&self) -> bool {
        false
    }

    fn passes(&self, condition: &str) -> bool {
        refusal::passes(condition)
    }

    fn pause_after(
        &self,
        condition: Option<&str>,
        tries: u32,
        _usual: Duration,
    ) -> Option<Duration> {
        refusal::pause(condition, tries)
    }

    fn packing(&self) -> Option<Box<dyn Packing>> {
        Some(Box::<Batches>::default())
    }

    fn ignores(&self) -> Option<(&'static str, &'static [(&'static str, &'static str)])> {
        Some(("Azure Service Bus", &IGNORED))
    }

    fn returns_freely(&self, _: &Remote) -> bool {
        true
    }

    fn ledger(&self, _: &Remote) -> Ledger {
        Ledger::Lost
    }

    /// Without renewal, it is the entity's lock duration, which is not known here.
    fn longest_job(&self, options: &QueueOptions, _: &Remote) -> Option<Duration> {
        Some(options.max_lock_renewal).filter(|limit| !limit.is_zero())
    }

    fn replies(&self, _: &Remote) -> Replies {
        Replies::Session
    }

    /// The queue's default maximum delivery count.
    fn delivery_limit(&self) -> Option<u32> {
        Some(10)
    }
}
