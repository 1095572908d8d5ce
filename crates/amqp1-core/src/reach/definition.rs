//! A queue and its access to the broker: which connection, which declarations, which sender.
//!
//! This file contains all of [`Definition`]. [`crate::reach`] describes what its calls may retry.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::base::counted;
use crate::base::counters::Counters;
use crate::base::fork;
use crate::base::id;
use crate::base::pauses::AFTER_LOSS;
use crate::base::sync::Mutex;
use crate::base::wait::Wait;
use crate::brokers::seams::companion::{has_no_way_to, Companion, Reach};
use crate::brokers::seams::subject::Subject;
use crate::brokers::{self, Dialect, Recipient};
use crate::connection::{Ask, Connection, SenderLink, SenderOptions};
use crate::error::condition::Condition;
use crate::error::{Error, ErrorKind, Result};
use crate::reach::blockade::Blockade;
use crate::reach::connected::Connected;
use crate::reach::destination::Destination;
use crate::reach::pool::{self, Role};
use crate::settings::retry::FailedQueue;
use crate::settings::spec::Spec;

/// See [`Definition::pauses`].
static PAUSES: AtomicU64 = AtomicU64::new(0);

/// A queue and its access to the broker; shared by its clones, consumers and tasks.
#[derive(Debug)]
pub(crate) struct Definition {
    spec: Spec,
    /// Whether consumers ignore it. Applies to this process; a child has its own flag.
    paused: AtomicBool,
    last: Mutex<Option<Last>>,
    counters: OnceLock<&'static Counters>,
    pub blockade: Blockade,
}

/// What the last push used, so that the next one finds it at once.
#[derive(Debug, Clone)]
struct Last {
    generation: u64,
    connected: Arc<Connected>,
    sender: SenderLink,
}

impl std::ops::Deref for Definition {
    type Target = Spec;

    fn deref(&self) -> &Spec {
        &self.spec
    }
}

impl Definition {
    pub fn new(spec: Spec) -> Self {
        Self {
            spec,
            paused: AtomicBool::new(false),
            last: Mutex::new(None),
            counters: OnceLock::new(),
            blockade: Blockade::default(),
        }
    }

    /// The queue's counters, taken with its first use.
    #[inline]
    pub fn counters(&self) -> &'static Counters {
        self.counters
            .get_or_init(|| counted::of(&self.pipeline, self.endpoint.label()))
    }

    /// Whether consumers ignore it.
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    pub fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
        PAUSES.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts each [`Definition::set_paused`] of any queue.
    pub fn pauses() -> u64 {
        PAUSES.load(Ordering::Relaxed)
    }

    /// The dialect to assume before connecting.
    pub fn presumed(&self) -> &'static dyn Dialect {
        brokers::presumed(&self.endpoint)
    }

    /// The name of the dialect of the broker that the last job was sent to; before that, the
    /// presumed one's.
    pub fn dialect_name(&self) -> &'static str {
        let last = self.last.lock();
        let known = last
            .as_ref()
            .filter(|last| last.generation == fork::generation());
        known.map_or_else(
            || self.presumed().name(),
            |last| last.connected.dialect.name(),
        )
    }

    /// Whether the last job's link has jobs that the broker accepts none of.
    pub fn waits_for_credit(&self) -> bool {
        let sender = self.last.lock().as_ref().map(|last| last.sender.clone());
        sender.is_some_and(|sender| sender.waits_for_credit())
    }

    /// The broker's name of the failed queue.
    ///
    /// # Errors
    /// Unsupported if the broker has no dead-letter queue of its own.
    pub fn failed_queue(&self, configured: &FailedQueue) -> Result<String> {
        let brokers = || self.presumed().dead_letter_queue(&self.broker_queue);
        match configured {
            FailedQueue::Named(name) => Ok(name.clone()),
            FailedQueue::Usual => {
                Ok(brokers().unwrap_or_else(|| format!("{}.failed", self.broker_queue)))
            }
            FailedQueue::BrokersOwn => brokers().map_or_else(|| self.dead_letter_queue(), Ok),
        }
    }

    /// The recipient of a job for `destination`.
    pub fn recipient<'a>(&'a self, destination: &'a Destination) -> Recipient<'a> {
        match destination {
            Destination::Queue(queue) | Destination::ReplyTo(queue) => Recipient::queue(queue),
            Destination::Key(key) => Recipient {
                exchange: self.options.exchange.as_deref(),
                key,
            },
            Destination::Usual => Recipient::usual(self),
        }
    }

    /// The routing key of a job, if it goes to an exchange.
    pub fn routing_key_of<'a>(&'a self, destination: &'a Destination) -> Option<&'a str> {
        let recipient = self.recipient(destination);
        recipient.exchange.map(|_| recipient.key)
    }

    /// For messages: `exchange 'x' with routing key 'k'`, or `queue 'q'`.
    pub fn name_of(&self, destination: &Destination) -> String {
        let recipient = self.recipient(destination);
        match recipient.exchange {
            Some(exchange) => format!("exchange '{exchange}' with routing key '{}'", recipient.key),
            None => format!("queue '{}'", recipient.key),
        }
    }

    /// The queue of a job for `destination`, unless it goes to an exchange.
    pub fn queue_of<'a>(&'a self, destination: &'a Destination) -> Option<&'a str> {
        let recipient = self.recipient(destination);
        recipient.exchange.is_none().then_some(recipient.key)
    }

    /// The queue, for administrative operations.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            spec: &self.spec,
            beside: None,
        }
    }

    /// Advice about a missing queue.
    pub fn when_missing(&self) -> &'static str {
        match self.presumed().declares_nothing() {
            true => "create it",
            false => "create it, or do not turn off the option 'declare'",
        }
    }

    /// The error for option `consumer_timeout` on a broker, or a queue, without one.
    pub fn has_no_consumer_timeout(&self) -> Error {
        Error::unsupported(format!(
            "{}: option 'consumer_timeout': only quorum queues of RabbitMQ 4.3 and later support it; remove the option",
            self.describe()
        ))
    }

    /// An exclusive queue belongs to the connection that declares it, and only that connection may
    /// consume from it.
    pub fn management_role(&self) -> Role {
        if self.options.exclusive {
            Role::Consume
        } else {
            Role::Publish
        }
    }

    /// The pooled connection for `role`.
    pub fn connect(&self, role: Role, wait: &Wait<'_>) -> Result<Connected> {
        let redial = self.options.redial_timeout;
        let connection = pool::connection(&self.endpoint, role, redial, wait)?;
        self.over(connection, role)
    }

    /// The pooled connection for `role`, after declaring missing entities.
    pub fn declared(&self, role: Role, wait: &Wait<'_>) -> Result<Connected> {
        if !self.options.declare {
            return self.connect(role, wait);
        }
        let connected = self.declare(&self.subject(), wait)?;
        match self.management_role() == role {
            true => Ok(connected),
            false => self.connect(role, wait),
        }
    }

    /// The connection, or another one with room for one more link. An exclusive queue is available
    /// only on the connection that declared it.
    pub fn with_room(&self, usual: Connected, role: Role, wait: &Wait<'_>) -> Result<Connected> {
        if self.options.exclusive {
            return Ok(usual);
        }
        let (redial, usual) = (self.options.redial_timeout, usual.connection);
        let connection = pool::with_room(&self.endpoint, role, &usual, redial, wait)?;
        self.over(connection, role)
    }

    fn over(&self, connection: Connection, role: Role) -> Result<Connected> {
        let dialect = brokers::detect(connection.remote(), &self.endpoint);
        self.check_options(dialect)?;
        if self.options.topology.consumer_timeout.is_some()
            && dialect
                .consumer_timeout_property(connection.remote(), None)
                .is_none()
        {
            return Err(self.has_no_consumer_timeout());
        }
        let companion = pool::companion(&self.endpoint, role, &connection, dialect)?;
        Ok(Connected::new(connection, dialect, companion))
    }

    /// Whether the broker accepts a message with this user-id from this connection.
    ///
    /// # Errors
    /// Those of connecting.
    pub fn takes_user_id(&self, user: &[u8], wait: &Wait<'_>) -> Result<bool> {
        if !self.connect(Role::Publish, wait)?.dialect.checks_user_id() {
            return Ok(true);
        }
        // A certificate's user is known to the broker alone.
        let own = self.endpoint.credentials.as_ref();
        Ok(own.is_some_and(|(own, _)| own.as_bytes() == user))
    }

    /// Refuses options that the broker does not support.
    fn check_options(&self, dialect: &dyn Dialect) -> Result<()> {
        let Some((option, why)) = dialect.lacks(&self.options) else {
            return Ok(());
        };
        Err(Error::unsupported(format!(
            "{}: option '{option}': {why}",
            self.describe()
        )))
    }

    /// The error if a link finds no free session despite that.
    pub fn full(&self, connected: &Connected) -> Error {
        let advice = match self.options.exclusive {
            true => ", and exclusive queues are tied to their connection; use several processes, or fewer exclusive queues",
            false => "",
        };
        Error::connection(format!(
            "{}: all {} sessions of the connection are in use{advice}",
            self.describe(),
            connected.connection.remote().sessions()
        ))
    }

    /// The cached sender for an address.
    pub fn sender(
        &self,
        connected: &Connected,
        (address, ask): (Option<&str>, Ask),
        wait: &Wait<'_>,
    ) -> Result<SenderLink> {
        let redial = self.options.redial_timeout;
        let options = SenderOptions {
            ask,
            further_lanes: connected.dialect.further_lanes(),
        };
        let to = (address, options);
        pool::sender(&self.endpoint, &connected.connection, to, redial, wait)
    }

    /// The usual route of a job: to the queue or its exchange, without delay.
    pub fn usual(&self, wait: &Wait<'_>) -> Result<(Arc<Connected>, SenderLink)> {
        let mut usual = None;
        if let Some(last) = self.last.lock().as_ref() {
            if last.generation == fork::generation() && last.sender.failed().is_none() {
                usual = Some((Arc::clone(&last.connected), last.sender.clone()));
            }
        }
        if let Some((connected, sender)) = usual {
            if connected.has_errands {
                connected.accompanied(|companion| companion.run_errands(self, wait))?;
            }
            return Ok((connected, sender));
        }
        let connected = Arc::new(self.declared(Role::Publish, wait)?);
        let address = connected.dialect.address(&Recipient::usual(self))?;
        connected.authorize(self, &address, wait)?;
        connected.confirm(self, &address, wait)?;
        let to = (Some(address.as_str()), connected.dialect.asks());
        let sender = self.sender(&connected, to, wait)?;
        let last = Last {
            generation: fork::generation(),
            connected: Arc::clone(&connected),
            sender: sender.clone(),
        };
        // A child neither uses nor tears down what its parent used last.
        std::mem::forget(
            self.last
                .lock()
                .replace(last)
                .filter(|old| old.generation != fork::generation()),
        );
        Ok((connected, sender))
    }

    /// Declares missing entities, once per connection.
    fn declare(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<Connected> {
        self.surviving(&[self.management_role()], wait, || {
            let connected = self.connect(self.management_role(), wait)?;
            connected.accompanied(|companion| companion.declare(queue, wait))?;
            Ok(connected)
        })
    }

    /// Declares a related queue, such as the failed queue.
    pub fn declare_beside(&self, queue: &str, wait: &Wait<'_>) -> Result<()> {
        if queue == self.broker_queue || !self.options.declare {
            return Ok(());
        }
        let subject = Subject {
            beside: Some(queue),
            ..self.subject()
        };
        self.declare(&subject, wait).map(|_| ())
    }

    /// Makes the next use declare the queue again, because a link was refused or ended when its
    /// queue was missing.
    pub fn forget_declared(&self) {
        *self.last.lock() = None;
        pool::forget_declared(&self.endpoint, self.management_role());
        pool::forget_declared(&self.endpoint, Role::Publish);
    }

    /// Whether anything was declared or checked for the first time within `age`.
    pub fn declared_within(&self, age: Duration) -> bool {
        pool::declared_within(&self.endpoint, self.management_role(), age)
            || pool::declared_within(&self.endpoint, Role::Publish, age)
    }

    /// # Errors
    /// QueueNotFound if the queue does not exist.
    pub fn look_for(&self, queue: &str, wait: &Wait<'_>) -> Result<()> {
        self.surviving(&[self.management_role()], wait, || {
            let connected = self.connect(self.management_role(), wait)?;
            connected.accompanied(|companion| companion.find(queue, wait))
        })
    }

    /// The queue's type, if the broker reports it; also `None` if there is no such queue.
    pub fn queue_type(&self, wait: &Wait<'_>) -> Result<Option<String>> {
        self.surviving(&[self.management_role()], wait, || {
            match self.connect(self.management_role(), wait)?.companion {
                Some(companion) => companion.queue_type(&self.broker_queue, wait),
                None => Ok(None),
            }
        })
    }

    /// Whether a job of this queue that is rejected goes to a dead-letter exchange, rather than
    /// nowhere.
    ///
    /// # Errors
    /// Those of asking the broker.
    pub fn keeps_rejected(&self, wait: &Wait<'_>) -> Result<bool> {
        let told = self.surviving(&[self.management_role()], wait, || {
            match self.connect(self.management_role(), wait)?.companion {
                Some(companion) => companion.has_dead_letter_exchange(&self.broker_queue, wait),
                None => Ok(None),
            }
        })?;
        let configured = self.options.topology.dead_letter_exchange.is_some();
        // A policy of the broker may name it as well. If the queue is not declared here, the option
        // describes the queue as it is.
        Ok(told.unwrap_or(configured) || (configured && !self.options.declare))
    }

    /// Does administrative work on the queue with the companion.
    ///
    /// # Errors
    /// Unsupported if the broker offers no way to do `what`; those of the work.
    pub fn look_after<T>(
        &self,
        what: &str,
        wait: &Wait<'_>,
        work: impl Fn(&dyn Companion, &Subject<'_>) -> Result<T>,
    ) -> Result<T> {
        let done = self.surviving(&[self.management_role()], wait, || {
            match self.connect(self.management_role(), wait)?.companion {
                Some(companion) => work(&*companion, &self.subject()),
                None => Err(has_no_way_to(what)),
            }
        });
        done.map_err(|error| {
            if error.kind() == ErrorKind::QueueNotFound {
                self.forget_declared();
            }
            error.context(self.describe())
        })
    }

    /// Handles the broker's report that a token has expired before we noticed: true if the client
    /// can get another one, which it then uses next.
    pub fn renews_token(&self, role: Role, error: &Error) -> bool {
        if !self.endpoint.access.has_more_tokens() || !error.is(Condition::UNAUTHORIZED_ACCESS) {
            return false;
        }
        pool::forget_tokens(&self.endpoint, role);
        true
    }

    /// Runs `work`, and repeats it if a connection (of the roles `used`) was lost during it: a
    /// starting broker may accept a connection and drop it at once. A failure to connect is final.
    /// So is a permanent reason for which the broker closes the connection twice.
    pub fn surviving<T>(
        &self,
        used: &[Role],
        wait: &Wait<'_>,
        work: impl Fn() -> Result<T>,
    ) -> Result<T> {
        let mut refused = false;
        loop {
            match work() {
                Err(error)
                    if error.kind() == ErrorKind::Connection
                        && !(refused && error.lasts())
                        && !wait.left().is_zero()
                        && pool::was_lost(&self.endpoint, used) =>
                {
                    refused |= error.lasts();
                    wait.sleep(AFTER_LOSS.mul_f64(id::jitter()))?;
                }
                done => return done,
            }
        }
    }
}

impl Reach for Definition {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn companion(&self, wait: &Wait<'_>) -> Result<Arc<dyn Companion>> {
        let companion = self.connect(Role::Consume, wait)?.companion;
        companion.ok_or_else(|| has_no_way_to("this"))
    }

    fn renews_token(&self, error: &Error) -> bool {
        Definition::renews_token(self, Role::Consume, error)
    }
}
