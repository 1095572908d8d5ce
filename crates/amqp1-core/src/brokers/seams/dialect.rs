//! The differences between brokers, as facts.

use std::sync::Arc;
use std::time::Duration;

use super::companion::Companion;
use super::packing::Packing;
use super::recipient::Recipient;
use super::replies::Replies;
use crate::connection::{Ask, Connection, Remote};
use crate::error::{Error, Result};
use crate::format::envelope::DelayMark;
use crate::format::history::Ledger;
use crate::format::PropertyMapping;
use crate::settings::endpoint::Endpoint;
use crate::settings::options::QueueOptions;
use crate::settings::retry::Redelivery;
use crate::settings::topology_options::QueueType;

/// The differences between brokers.
pub(crate) trait Dialect: std::fmt::Debug + Send + Sync {
    /// Its name in `getBroker()`.
    fn name(&self) -> &'static str;

    /// The address of a queue, for sending and receiving.
    fn queue_address(&self, queue: &str) -> String;

    /// The address of an exchange with a routing key.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] if there are no exchanges.
    fn exchange_address(&self, exchange: &str, routing_key: &str) -> Result<String>;

    /// The address of a job's recipient.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] if there is none.
    fn address(&self, recipient: &Recipient<'_>) -> Result<String> {
        match recipient.exchange {
            Some(exchange) => self.exchange_address(exchange, recipient.key),
            // The default exchange routes by queue name.
            None => {
                self.check_name(recipient.key)?;
                Ok(self.queue_address(recipient.key))
            }
        }
    }

    /// Checks that an address can name this queue, exchange or routing key.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] if it would name another one.
    fn check_name(&self, _name: &str) -> Result<()> {
        Ok(())
    }

    /// A link's requirement on its node, if the address alone does not make it a queue.
    fn asks(&self) -> Ask {
        Ask::Nothing
    }

    /// How many further links to the same target a sender may open in its session, for more credit;
    /// zero unless the broker handles a session's messages in the order of their transfers,
    /// whatever link they come over.
    fn further_lanes(&self) -> u32 {
        0
    }

    /// Explains the refusal of a link in this broker's terms.
    fn explain(&self, error: Error) -> Error {
        error
    }

    /// Whether the broker has an anonymous terminus that is as good as a link to the queue itself.
    fn relays(&self) -> bool {
        true
    }

    /// The first option that this broker does not support, with advice.
    fn lacks(&self, _options: &QueueOptions) -> Option<(&'static str, &'static str)> {
        None
    }

    /// Whether attaching creates a missing queue, whatever properties it should have.
    fn makes_what_is_missing(&self) -> bool {
        false
    }

    /// Whether it confirms jobs for missing queues and loses them. Then the client checks that the
    /// queue exists before it reports a job as confirmed.
    fn confirms_what_it_loses(&self) -> bool {
        false
    }

    /// Whether it exceeds its credit if more is granted before the last is used up.
    fn overruns_credit(&self) -> bool {
        false
    }

    /// Creates the companion of a new connection; `None` if the broker needs none.
    ///
    /// # Errors
    /// Connection.
    fn companion(
        &'static self,
        _endpoint: &Arc<Endpoint>,
        _connection: &Connection,
    ) -> Result<Option<Arc<dyn Companion>>> {
        Ok(None)
    }

    /// The annotation by which a message delays its first delivery, if there is one.
    fn delay_mark(&self) -> Option<DelayMark> {
        None
    }

    /// Whether its count includes only deliveries to workers that may have processed the job.
    fn counts_attempts(&self) -> bool {
        true
    }

    /// Whether it answers a drain (2.6.7), which shows that a queue is empty.
    fn drains(&self) -> bool {
        true
    }

    /// Whether it may answer a drain before it has sent all messages.
    fn drains_early(&self) -> bool {
        false
    }

    /// How it handles a job that is returned as failed; `queue_type` is the type that management
    /// reports. `None`: the type must be known.
    fn redelivery(&self, _remote: &Remote, _queue_type: Option<&str>) -> Option<Redelivery> {
        // As AMQP defines it (3.4.5).
        Some(Redelivery::Counted)
    }

    /// The number of deliveries after which the broker itself moves a job away: its default or, if
    /// unknown, a safe assumption.
    fn delivery_limit(&self) -> Option<u32> {
        None
    }

    /// Whether it counts unsettled deliveries when a link ends normally.
    fn counts_end(&self) -> bool {
        false
    }

    /// Which deliveries it counts, and whether it keeps our records of them.
    fn ledger(&self, _remote: &Remote) -> Ledger {
        Ledger::None
    }

    /// Whether a job that is returned unseen keeps its place in the queue, and is not counted as
    /// delivered.
    fn returns_freely(&self, _remote: &Remote) -> bool {
        false
    }

    /// Whether jobs with the same partition key stay together.
    fn has_partitions(&self) -> bool {
        false
    }

    /// Whether a consumer may receive from one session of a queue after another.
    fn has_sessions(&self) -> bool {
        false
    }

    /// Advice about a queue that does not fit a consumer with, or without, sessions.
    fn advise(&self, _error: &Error, _has_session: bool) -> Option<&'static str> {
        None
    }

    /// Whether a delayed job can be cancelled.
    fn schedules(&self) -> bool {
        false
    }

    /// Whether a job can be set aside and received by its number.
    fn defers(&self) -> bool {
        false
    }

    /// Whether it dead-letters rejected jobs, if the queue is configured so. Otherwise it is unknown
    /// whether it keeps them.
    fn dead_letters_rejected(&self) -> bool {
        false
    }

    /// Whether nothing can be declared over AMQP.
    fn declares_nothing(&self) -> bool {
        false
    }

    /// Whether it confirms but drops a message whose id it has seen recently, so that a copy needs
    /// a new id.
    fn drops_duplicates(&self) -> bool {
        false
    }

    /// Whether a message's `to` is the address by which an anonymous terminus routed it.
    fn is_route(&self, _to: &[u8]) -> bool {
        false
    }

    /// Whether it accepts only the connection's own user as a message's user-id.
    fn checks_user_id(&self) -> bool {
        false
    }

    /// Whether first-acquirer in the header is true for every message that it delivers for the
    /// first time.
    fn tells_first_acquirer(&self) -> bool {
        false
    }

    /// Whether jobs can be sent to that queue.
    fn takes_jobs(&self, _queue: &str) -> bool {
        true
    }

    /// The queue for jobs that are not retried, if the broker has its own.
    fn dead_letter_queue(&self, _queue: &str) -> Option<String> {
        None
    }

    /// Whether links to many addresses may be spread over several connections.
    fn spreads_links(&self) -> bool {
        true
    }

    /// Whether a job that was refused with this condition is worth another try.
    fn passes(&self, _condition: &str) -> bool {
        false
    }

    /// The pause before another try, after `tries` that failed with `condition`; `None` if no
    /// further try makes sense. `usual` is the client's own pause.
    fn pause_after(
        &self,
        _condition: Option<&str>,
        _tries: u32,
        usual: Duration,
    ) -> Option<Duration> {
        Some(usual)
    }

    /// Packs many jobs into one message, if the broker supports it.
    fn packing(&self) -> Option<Box<dyn Packing>> {
        None
    }

    /// The broker's name, and the options that have no effect on it, each with the reason.
    fn ignores(&self) -> Option<(&'static str, &'static [(&'static str, &'static str)])> {
        None
    }

    /// Where a `babelqueue` message carries its properties.
    fn property_mapping(&self) -> PropertyMapping {
        PropertyMapping::default()
    }

    /// The link property of the consumer timeout, if queues of this type have one; `None` stands
    /// for any type.
    fn consumer_timeout_property(
        &self,
        _remote: &Remote,
        _queue_type: Option<&str>,
    ) -> Option<&'static str> {
        None
    }

    /// How long a consumer may hold a job of a quorum queue by default.
    fn usual_consumer_timeout(&self, _remote: &Remote) -> Option<Duration> {
        None
    }

    /// After how long a job of a queue with these options is taken from its consumer.
    fn longest_job(&self, options: &QueueOptions, remote: &Remote) -> Option<Duration> {
        match options.queue_type() {
            QueueType::Quorum => options
                .topology
                .timeout()
                .or_else(|| self.usual_consumer_timeout(remote)),
            QueueType::Classic => None,
        }
    }

    /// How a client gets an address for replies.
    fn replies(&self, _remote: &Remote) -> Replies {
        Replies::STANDARD
    }

    /// The address of a message's reply-to, which other clients may write as a queue's name.
    fn reply_address(&self, reply_to: &str) -> String {
        reply_to.to_owned()
    }

    /// Whether a link to an address for replies ended with this error because the address is gone,
    /// although the error itself says something else.
    fn is_gone(&self, _error: &Error) -> bool {
        false
    }

    /// The link property of consumer priority.
    fn priority_property(&self) -> Option<&'static str> {
        None
    }
}
