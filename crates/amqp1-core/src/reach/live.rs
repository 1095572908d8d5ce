//! A queue's way to its broker: the pooled connection, declared topology, senders.

use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::time::Duration;

use crate::base::fork;
use crate::base::id;
use crate::base::sync::Mutex;
use crate::base::wait::Wait;
use crate::brokers::rabbitmq::management::Management;
use crate::brokers::rabbitmq::topology::{queue_path, Strictness, Topology};
use crate::brokers::servicebus::client::Client;
use crate::brokers::servicebus::constants::UNAUTHORIZED;
use crate::brokers::{self, Dialect, Recipient};
use crate::connection::{lasts, Connection, SenderLink};
use crate::error::{Error, ErrorKind, Result};
use crate::reach::destination::Destination;
use crate::reach::pool::{self, Role};
use crate::settings::retry::FailedQueue;
use crate::settings::spec::Spec;
use crate::wire::write;

/// Attempts at work on the management node whose link ends under it.
const MANAGEMENT_TRIES: u32 = 8;

/// A queue and the way to it; shared by its clones, consumers and tasks.
#[derive(Debug)]
pub(crate) struct Definition {
    spec: Spec,
    /// Consumers leave it alone. In this process: a child's is its own.
    pub paused: AtomicBool,
    cached: Mutex<Option<Cached>>,
}

impl std::ops::Deref for Definition {
    type Target = Spec;

    fn deref(&self) -> &Spec {
        &self.spec
    }
}

/// What the last push used, so that the next one need not look for it.
#[derive(Debug, Clone)]
struct Cached {
    generation: u64,
    live: Live,
    sender: SenderLink,
}

/// A live connection and what its broker is.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub connection: Connection,
    pub dialect: &'static dyn Dialect,
    /// What Service Bus has besides.
    pub service_bus: Option<Arc<Client>>,
}

impl Live {
    /// The broker knows who we are, as far as it wants to for this address.
    pub fn authorize(&self, definition: &Definition, address: &str, wait: &Wait<'_>) -> Result<()> {
        match &self.service_bus {
            Some(client) => client.authorize(address, definition.options.token.as_ref(), wait),
            None => Ok(()),
        }
    }
}

impl Definition {
    pub fn new(spec: Spec) -> Self {
        Self {
            spec,
            paused: AtomicBool::new(false),
            cached: Mutex::new(None),
        }
    }

    /// The broker's name of its failed queue.
    ///
    /// # Errors
    /// Unsupported where the broker has no dead-letter queue of its own.
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

    /// What the broker has nothing for is refused before it is used.
    fn check_options(&self, dialect: &dyn Dialect) -> Result<()> {
        let Some((option, why)) = dialect.lacks(&self.options) else {
            return Ok(());
        };
        Err(Error::unsupported(format!(
            "{}: option '{option}': {why}",
            self.describe()
        )))
    }

    /// The broker found the token over, before we did: true when another one can be had,
    /// and is the next time.
    pub fn renews_token(&self, role: Role, error: &Error) -> bool {
        if !self.endpoint.access.has_more_tokens() || error.condition() != Some(UNAUTHORIZED) {
            return false;
        }
        pool::forget_tokens(&self.endpoint, role);
        true
    }

    /// What is known of the broker before it is dialled.
    pub fn presumed(&self) -> &'static dyn Dialect {
        brokers::presumed(&self.endpoint)
    }

    /// What a job for `destination` is addressed to.
    pub fn recipient<'a>(&'a self, destination: &'a Destination) -> Recipient<'a> {
        let exchange = self.options.exchange.as_deref();
        match (destination, exchange) {
            (Destination::Queue(queue), _) => Recipient {
                exchange: None,
                key: queue,
            },
            (Destination::Key(key), exchange) => Recipient { exchange, key },
            (Destination::Usual, None) => Recipient {
                exchange: None,
                key: &self.broker_queue,
            },
            (Destination::Usual, exchange) => Recipient {
                exchange,
                key: &self.routing_key,
            },
        }
    }

    /// The routing key of a job that goes to an exchange.
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

    /// The queue that a job for `destination` goes to, if not to an exchange.
    pub fn queue_of<'a>(&'a self, destination: &'a Destination) -> Option<&'a str> {
        let recipient = self.recipient(destination);
        recipient.exchange.is_none().then_some(recipient.key)
    }

    /// What to do about a queue that is not there.
    pub fn when_missing(&self) -> &'static str {
        match self.presumed().declares_nothing() {
            true => "create it",
            false => "create it, or leave the option 'declare' on",
        }
    }

    /// The pooled connection for `role`, with the topology declared over it.
    pub fn live(&self, role: Role, wait: &Wait<'_>) -> Result<Live> {
        if self.options.declare {
            self.declare_once(wait)?;
        }
        self.connect(role, wait)
    }

    /// The pooled connection for `role`.
    pub fn connect(&self, role: Role, wait: &Wait<'_>) -> Result<Live> {
        let redial = self.options.redial_timeout;
        let connection = pool::connection(&self.endpoint, role, redial, wait)?;
        self.over(connection, role)
    }

    /// The connection, or another one that has room for one more link. An exclusive queue
    /// can be had over the one that has declared it only.
    pub fn with_room(&self, usual: Live, role: Role, wait: &Wait<'_>) -> Result<Live> {
        if self.options.exclusive {
            return Ok(usual);
        }
        let (redial, usual) = (self.options.redial_timeout, usual.connection);
        let connection = pool::with_room(&self.endpoint, role, &usual, redial, wait)?;
        self.over(connection, role)
    }

    /// For a link that found no free session all the same.
    pub fn full(&self, live: &Live) -> Error {
        let advice = match self.options.exclusive {
            true => ", and an exclusive queue can be had over no other; use several processes, or fewer exclusive queues",
            false => "",
        };
        Error::connection(format!(
            "{}: all {} sessions of the connection are in use{advice}",
            self.describe(),
            live.connection.remote().sessions()
        ))
    }

    fn over(&self, connection: Connection, role: Role) -> Result<Live> {
        let dialect = brokers::detect(connection.remote(), &self.endpoint);
        self.check_options(dialect)?;
        if self.options.topology.consumer_timeout.is_some()
            && dialect
                .consumer_timeout_property(connection.remote(), None)
                .is_none()
        {
            return Err(self.has_no_consumer_timeout());
        }
        let mut service_bus = None;
        if dialect.is_service_bus() {
            service_bus = Some(pool::service_bus(&self.endpoint, role, &connection)?);
        }
        Ok(Live {
            connection,
            dialect,
            service_bus,
        })
    }

    /// The sender that is kept for an address.
    pub fn sender(
        &self,
        live: &Live,
        address: Option<&str>,
        wait: &Wait<'_>,
    ) -> Result<SenderLink> {
        let redial = self.options.redial_timeout;
        let to = (address, live.dialect.asks());
        pool::sender(&self.endpoint, &live.connection, to, redial, wait)
    }

    /// The option `consumer_timeout` on a broker, or a queue, without one.
    pub fn has_no_consumer_timeout(&self) -> Error {
        Error::unsupported(format!(
            "{}: option 'consumer_timeout': only quorum queues of RabbitMQ 4.3 and later have one; leave it out",
            self.describe()
        ))
    }

    /// Declares what is missing, once a connection.
    fn declare_once(&self, wait: &Wait<'_>) -> Result<()> {
        let (role, memo) = (self.management_role(), self.declared_key());
        self.declare_by_attaching(&self.broker_queue, &self.options, &memo, wait)?;
        self.once(role, &memo, Duration::MAX, wait, |management| {
            let declared = self
                .topology()
                .declare(management, Strictness::UseWhatExists, wait);
            declared.map_err(|error| error.context(self.describe()))
        })
    }

    /// Work on the management node that need not be done again over the same
    /// connection within `age`. Nothing where the broker has no such node.
    pub fn once(
        &self,
        role: Role,
        memo: &str,
        age: Duration,
        wait: &Wait<'_>,
        work: impl Fn(&Management) -> Result<()>,
    ) -> Result<()> {
        self.retried(role, wait, |live| {
            let (endpoint, connection) = (&self.endpoint, &live.connection);
            if !live.dialect.has_management()
                || pool::is_declared(endpoint, role, connection, memo, age)
            {
                return Ok(());
            }
            work(&pool::management(endpoint, role, connection)?)?;
            pool::set_declared(endpoint, role, connection, memo);
            Ok(())
        })
    }

    /// Idempotent work on the management node, done again when its link ended:
    /// RabbitMQ ends it with an internal error when two processes declare the
    /// same queue at the same moment.
    pub fn retried<T>(
        &self,
        role: Role,
        wait: &Wait<'_>,
        work: impl Fn(&Live) -> Result<T>,
    ) -> Result<T> {
        let mut tries = 0;
        loop {
            let attempt = || self.connect(role, wait).and_then(|live| work(&live));
            match self.surviving(&[role], wait, attempt) {
                Err(error)
                    if error.kind() == ErrorKind::Connection
                        && tries < MANAGEMENT_TRIES
                        && pool::is_connected(&self.endpoint, role) =>
                {
                    tries += 1;
                    wait.sleep(Duration::from_millis(40).mul_f64(id::jitter()))?;
                }
                done => return done,
            }
        }
    }

    /// Runs `work`, and again when a connection (of the roles `used`) was lost
    /// while it used it: a broker that starts may take a connection and drop it at
    /// once. What cannot be dialled is final, and so is what the broker closed it for
    /// twice, if that will not pass.
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
                        && !(refused && lasts(&error))
                        && !wait.left().is_zero()
                        && pool::was_lost(&self.endpoint, used) =>
                {
                    refused |= lasts(&error);
                    wait.sleep(Duration::from_millis(50).mul_f64(id::jitter()))?;
                }
                done => return done,
            }
        }
    }

    /// An exclusive queue belongs to the connection that declares it, and only
    /// that one may consume from it.
    pub fn management_role(&self) -> Role {
        if self.options.exclusive {
            Role::Consume
        } else {
            Role::Publish
        }
    }

    /// What management says of the queue's type; `None` where there is none, or
    /// no such queue.
    pub fn queue_type(&self, wait: &Wait<'_>) -> Result<Option<String>> {
        let path = queue_path(&self.broker_queue);
        self.retried(self.management_role(), wait, |live| {
            if !live.dialect.has_management() {
                return Ok(None);
            }
            let role = self.management_role();
            let management = pool::management(&self.endpoint, role, &live.connection)?;
            let answer = management.request("GET", &path, write::null, wait)?;
            Ok(answer.text("type").filter(|_| answer.status == 200))
        })
    }

    /// Something was declared, or looked at for the first time, so lately.
    pub fn declared_within(&self, age: Duration) -> bool {
        pool::declared_within(&self.endpoint, self.management_role(), age)
            || pool::declared_within(&self.endpoint, Role::Publish, age)
    }

    fn declared_key(&self) -> String {
        let exchange = self.options.exchange.as_deref().unwrap_or("");
        format!("{}\n{exchange}\n{}", self.broker_queue, self.routing_key)
    }

    pub fn topology(&self) -> Topology<'_> {
        Topology {
            queue: &self.broker_queue,
            options: &self.options,
            routing_key: &self.routing_key,
        }
    }

    /// A link was refused or ended because its queue is gone: the next use
    /// declares it again.
    pub fn forget_declared(&self) {
        *self.cached.lock() = None;
        pool::forget_declared(&self.endpoint, self.management_role());
        pool::forget_declared(&self.endpoint, Role::Publish);
    }

    /// Idempotent work on the management node.
    ///
    /// # Errors
    /// Unsupported where the broker has none; what `work` fails with.
    pub fn managed<T>(
        &self,
        what: &str,
        wait: &Wait<'_>,
        work: impl Fn(&Management) -> Result<T>,
    ) -> Result<T> {
        let role = self.management_role();
        self.retried(role, wait, |live| {
            if !live.dialect.has_management() {
                return Err(Error::unsupported(format!(
                    "{what} is not possible: this broker has no management over AMQP 1.0; use the broker's own tools, or RabbitMQ 4"
                )));
            }
            work(&pool::management(&self.endpoint, role, &live.connection)?)
        })
    }

    /// The usual way of a job: to the queue or its exchange, without delay.
    pub fn usual(&self, wait: &Wait<'_>) -> Result<(Live, SenderLink)> {
        let mut usual = None;
        if let Some(cached) = self.cached.lock().as_ref() {
            if cached.generation == fork::generation() && cached.sender.failed().is_none() {
                usual = Some((cached.live.clone(), cached.sender.clone()));
            }
        }
        if let Some((live, sender)) = usual {
            if let Some(client) = &live.service_bus {
                client.ask_if_due(self.options.token.as_ref(), wait)?;
            }
            return Ok((live, sender));
        }
        let live = self.live(Role::Publish, wait)?;
        let address = self.recipient(&Destination::Usual).address(live.dialect)?;
        live.authorize(self, &address, wait)?;
        self.confirm_queue(&live, &address, wait)?;
        let sender = self.sender(&live, Some(&address), wait)?;
        let cached = Cached {
            generation: fork::generation(),
            live: live.clone(),
            sender: sender.clone(),
        };
        // What a parent process cached is neither used nor torn down by its child.
        std::mem::forget(
            self.cached
                .lock()
                .replace(cached)
                .filter(|old| old.generation != fork::generation()),
        );
        Ok((live, sender))
    }
}
