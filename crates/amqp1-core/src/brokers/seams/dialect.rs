//! What brokers do differently, as facts.

use std::sync::Arc;
use std::time::Duration;

use super::companion::Companion;
use super::packing::Packing;
use super::recipient::Recipient;
use crate::connection::{Ask, Connection, Remote};
use crate::error::{Error, Result};
use crate::format::envelope::DelayMark;
use crate::format::history::Ledger;
use crate::format::PropertyMapping;
use crate::settings::endpoint::Endpoint;
use crate::settings::options::QueueOptions;
use crate::settings::retry::Redelivery;

/// What brokers do differently.
pub(crate) trait Dialect: std::fmt::Debug + Send + Sync {
    /// Its name in `getBroker()`.
    fn name(&self) -> &'static str;

    /// The address of a queue, to send to and to receive from.
    fn queue_address(&self, queue: &str) -> String;

    /// The address of an exchange with a routing key.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] where there are no exchanges.
    fn exchange_address(&self, exchange: &str, routing_key: &str) -> Result<String>;

    /// The address of what a job is for.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] where there is none.
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

    /// Whether an address can name this queue, exchange or routing key.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] when it would name another one.
    fn check_name(&self, _name: &str) -> Result<()> {
        Ok(())
    }

    /// What a link asks of its node: where an address alone does not say that it is a queue.
    fn asks(&self) -> Ask {
        Ask::Nothing
    }

    /// What the refusal of a link means on this broker.
    fn explain(&self, error: Error) -> Error {
        error
    }

    /// A link to the anonymous terminus, where the broker has one, is as good as one to the
    /// queue itself.
    fn relays(&self) -> bool {
        true
    }

    /// The first option of a queue that this broker has nothing for, and what to do.
    fn lacks(&self, _options: &QueueOptions) -> Option<(&'static str, &'static str)> {
        None
    }

    /// Attaching makes a queue that is missing, without asking what it is to be.
    fn makes_what_is_missing(&self) -> bool {
        false
    }

    /// It confirms jobs for queues that do not exist, and loses them: a queue is
    /// looked for before a job counts as confirmed.
    fn confirms_what_it_loses(&self) -> bool {
        false
    }

    /// It sends more than its credit allows when more is granted before the last is used up.
    fn overruns_credit(&self) -> bool {
        false
    }

    /// What goes with one of its connections, which has just been made; `None` where that is nothing.
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

    /// The mark in a message by which it delays a first delivery, where it can.
    fn delay_mark(&self) -> Option<DelayMark> {
        None
    }

    /// A delivery that it counts was one to somebody who may have worked on the job.
    fn counts_attempts(&self) -> bool {
        true
    }

    /// It answers a drain (2.6.7), by which an empty queue is known.
    fn drains(&self) -> bool {
        true
    }

    /// It may answer a drain before it has sent what it has.
    fn drains_early(&self) -> bool {
        false
    }

    /// What it does about a job that is given back as failed, `queue_type` being
    /// what management says of its queue. `None`: that has to be known.
    fn redelivery(&self, _remote: &Remote, _queue_type: Option<&str>) -> Option<Redelivery> {
        // As AMQP has it (3.4.5).
        Some(Redelivery::Counted)
    }

    /// After so many deliveries it moves a job away by itself, as it is installed or, where that
    /// is not known, as it may be.
    fn delivery_limit(&self) -> Option<u32> {
        None
    }

    /// It counts what is unsettled when a link ends, although the link was not lost.
    fn counts_end(&self) -> bool {
        false
    }

    /// Which deliveries it counts, and what it keeps of our word on them.
    fn ledger(&self, _remote: &Remote) -> Ledger {
        Ledger::None
    }

    /// Jobs of one key stay together there.
    fn has_partitions(&self) -> bool {
        false
    }

    /// A consumer may take one session of a queue after the other.
    fn has_sessions(&self) -> bool {
        false
    }

    /// What to do about a queue that does not fit a consumer with, or without, sessions.
    fn advise(&self, _error: &Error, _has_session: bool) -> Option<&'static str> {
        None
    }

    /// A job that is delayed can be taken back.
    fn schedules(&self) -> bool {
        false
    }

    /// Nothing can be declared over AMQP.
    fn declares_nothing(&self) -> bool {
        false
    }

    /// Within some time it takes a message of the same id for one that it has, confirms it, and drops it: a copy needs
    /// an id of its own.
    fn drops_duplicates(&self) -> bool {
        false
    }

    /// Jobs can be sent to that queue.
    fn takes_jobs(&self, _queue: &str) -> bool {
        true
    }

    /// Where jobs of a queue go that are not tried again, where the broker has a queue for that.
    fn dead_letter_queue(&self, _queue: &str) -> Option<String> {
        None
    }

    /// Links of many addresses may go over several connections.
    fn spreads_links(&self) -> bool {
        true
    }

    /// A job that was refused with this condition is worth another try.
    fn passes(&self, _condition: &str) -> bool {
        false
    }

    /// The pause before another try, after `tries` that failed with `condition`; `None` when there were enough of them,
    /// or it is of no use. `usual` is ours.
    fn pause_after(
        &self,
        _condition: Option<&str>,
        _tries: u32,
        usual: Duration,
    ) -> Option<Duration> {
        Some(usual)
    }

    /// Puts many jobs into one message, where the broker takes that.
    fn packing(&self) -> Option<Box<dyn Packing>> {
        None
    }

    /// What it is called, and the options that have no effect there, each with the reason.
    fn ignores(&self) -> Option<(&'static str, &'static [(&'static str, &'static str)])> {
        None
    }

    /// Where the properties of a `babelqueue` message are.
    fn property_mapping(&self) -> PropertyMapping {
        PropertyMapping::default()
    }

    /// The link property of the consumer timeout, where there is one for a queue of that type;
    /// `None` asks for any type.
    fn consumer_timeout_property(
        &self,
        _remote: &Remote,
        _queue_type: Option<&str>,
    ) -> Option<&'static str> {
        None
    }

    /// How long it lets a consumer hold a job of a quorum queue, where nobody says.
    fn usual_consumer_timeout(&self, _remote: &Remote) -> Option<Duration> {
        None
    }

    /// The link property of consumer priority.
    fn priority_property(&self) -> Option<&'static str> {
        None
    }
}
