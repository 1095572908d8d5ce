//! A queue's way to its broker: the pooled connection, declared topology, senders.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::connection::{Connection, SenderLink};
use crate::delay;
use crate::dialect::{self, DelaySupport, Dialect};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::fork;
use crate::job::Job;
use crate::management::Management;
use crate::options::QueueOptions;
use crate::pool::{self, Role};
use crate::topology::{self, Strictness, Topology, DELAYED_EXCHANGE};
use crate::wait::Wait;

use crate::format::roadrunner::{self, DelayMark, ROUTING_KEY_HEADER};
use crate::job::HeaderValue;

/// How long a binding that was seen is taken to be there.
const RECHECK: Duration = Duration::from_secs(60);

/// What a queue is, checked; shared by its clones, consumers and tasks.
#[derive(Debug)]
pub(crate) struct Definition {
    pub endpoint: Arc<Endpoint>,
    /// The broker's name of the queue.
    pub broker_queue: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// Binding key, and routing key of jobs that name none.
    pub routing_key: String,
    pub options: QueueOptions,
    cached: Mutex<Option<Cached>>,
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
}

/// Where and how one job is sent.
#[derive(Debug)]
pub(crate) struct Route {
    pub sender: SenderLink,
    /// Per-message address over an anonymous sender.
    pub to: Option<String>,
    pub delay_mark: DelayMark,
    /// `released` is the plugin's way to say that it has taken a delayed message.
    pub released_is_taken: bool,
    /// A TTL in the header would be over before the job is in its queue: the
    /// consumer looks at absolute-expiry-time instead.
    pub ttl_is_lost: bool,
    /// To a queue by its name, not to an exchange.
    pub to_queue: bool,
}

impl Definition {
    pub fn new(
        endpoint: Arc<Endpoint>,
        queue: String,
        pipeline: String,
        options: QueueOptions,
    ) -> Self {
        Self {
            endpoint,
            routing_key: options.routing_key.clone().unwrap_or_else(|| queue.clone()),
            broker_queue: queue,
            pipeline,
            options,
            cached: Mutex::new(None),
        }
    }

    /// For messages: `queue 'orders' at amqp://…`.
    pub fn describe(&self) -> String {
        format!("queue '{}' at {}", self.broker_queue, self.endpoint.label())
    }

    /// The pooled connection for `role`, with the topology declared over it.
    pub fn live(&self, role: Role, wait: &Wait<'_>) -> Result<Live> {
        let live = self.connect(role, wait)?;
        if self.options.declare {
            self.declare_once(wait)?;
        }
        Ok(live)
    }

    /// The pooled connection for `role`.
    pub fn connect(&self, role: Role, wait: &Wait<'_>) -> Result<Live> {
        let redial = self.options.redial_timeout;
        let connection = pool::connection(&self.endpoint, role, redial, wait)?;
        let dialect = dialect::detect(connection.remote(), self.endpoint.label())?;
        Ok(Live {
            connection,
            dialect,
        })
    }

    /// Declares what is missing, once a connection.
    fn declare_once(&self, wait: &Wait<'_>) -> Result<()> {
        let live = self.connect(self.management_role(), wait)?;
        if !live.dialect.has_management() {
            return Ok(());
        }
        let key = self.declared_key();
        let role = self.management_role();
        if pool::is_declared(&self.endpoint, role, &live.connection, &key, Duration::MAX) {
            return Ok(());
        }
        let management = pool::management(&self.endpoint, role, &live.connection)?;
        self.topology()
            .declare(&management, Strictness::UseWhatExists, wait)?;
        pool::set_declared(&self.endpoint, role, &live.connection, &key);
        Ok(())
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

    /// The management node, connecting if need be.
    ///
    /// # Errors
    /// Unsupported where the broker has none.
    pub fn management(&self, what: &str, wait: &Wait<'_>) -> Result<Management> {
        let role = self.management_role();
        let live = self.connect(role, wait)?;
        if !live.dialect.has_management() {
            return Err(Error::unsupported(format!(
                "{}: {what} is not possible: this broker has no management over AMQP",
                self.describe()
            )));
        }
        pool::management(&self.endpoint, role, &live.connection)
    }

    /// The usual way of a job: to the queue or its exchange, without delay.
    fn usual(&self, wait: &Wait<'_>) -> Result<(Live, SenderLink)> {
        if let Some(cached) = self.cached.lock().as_ref() {
            if cached.generation == fork::generation() && cached.sender.failed().is_none() {
                return Ok((cached.live.clone(), cached.sender.clone()));
            }
        }
        let live = self.live(Role::Publish, wait)?;
        let address = self.place(&Destination::Usual).address(live.dialect)?;
        let sender = pool::sender(&self.endpoint, &live.connection, Some(&address))?;
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

    /// Where and how a job for `destination` is sent.
    pub fn route(
        &self,
        destination: &Destination,
        delay: Duration,
        wait: &Wait<'_>,
    ) -> Result<Route> {
        let (live, usual) = self.usual(wait)?;
        let place = self.place(destination);
        let is_usual = matches!(destination, Destination::Usual);
        if !delay.is_zero() {
            return self.delayed_route(&live, usual, is_usual, place, delay, wait);
        }
        if is_usual {
            return Ok(Route {
                sender: usual,
                to: None,
                delay_mark: DelayMark::None,
                released_is_taken: false,
                ttl_is_lost: false,
                to_queue: place.exchange.is_none(),
            });
        }
        if let Destination::Queue(queue) = destination {
            self.declare_other(&live, queue, wait)?;
        }
        let address = place.address(live.dialect)?;
        self.addressed(&live, address, place.exchange.is_none(), DelayMark::None)
    }

    fn place<'a>(&'a self, destination: &'a Destination) -> Place<'a> {
        let exchange = self.options.exchange.as_deref();
        match (destination, exchange) {
            (Destination::Queue(queue), _) => Place {
                exchange: None,
                key: queue,
            },
            (Destination::Key(key), exchange) => Place { exchange, key },
            (Destination::Usual, None) => Place {
                exchange: None,
                key: &self.broker_queue,
            },
            (Destination::Usual, exchange) => Place {
                exchange,
                key: &self.routing_key,
            },
        }
    }

    /// For messages: `exchange 'x' with routing key 'k'`, or `queue 'q'`.
    pub fn name_of(&self, destination: &Destination) -> String {
        let place = self.place(destination);
        match place.exchange {
            Some(exchange) => format!("exchange '{exchange}' with routing key '{}'", place.key),
            None => format!("queue '{}'", place.key),
        }
    }

    /// What the delay queues of the usual destination are named after.
    pub fn delay_target(&self) -> String {
        self.place(&Destination::Usual).target()
    }

    /// A queue that is not the configured one: a failed queue, for instance.
    fn declare_other(&self, live: &Live, queue: &str, wait: &Wait<'_>) -> Result<()> {
        let known = queue == self.broker_queue || !self.options.declare;
        if known || !live.dialect.has_management() {
            return Ok(());
        }
        let (endpoint, connection) = (&self.endpoint, &live.connection);
        let memo = format!("{queue}\n");
        if pool::is_declared(endpoint, Role::Publish, connection, &memo, Duration::MAX) {
            return Ok(());
        }
        let options = QueueOptions {
            queue_type: self.options.queue_type,
            ..QueueOptions::default()
        };
        let topology = Topology {
            queue,
            options: &options,
            routing_key: queue,
        };
        let management = pool::management(endpoint, Role::Publish, connection)?;
        topology.declare(&management, Strictness::UseWhatExists, wait)?;
        pool::set_declared(endpoint, Role::Publish, connection, &memo);
        Ok(())
    }

    /// Over the anonymous terminus where the broker has one: routing keys may
    /// be as many as jobs, links may not.
    fn addressed(
        &self,
        live: &Live,
        address: String,
        to_queue: bool,
        delay_mark: DelayMark,
    ) -> Result<Route> {
        let relay = live.connection.remote().offers("ANONYMOUS-RELAY");
        let target = (!relay).then_some(address.as_str());
        let sender = pool::sender(&self.endpoint, &live.connection, target)?;
        Ok(Route {
            sender,
            to: relay.then_some(address),
            delay_mark,
            released_is_taken: false,
            ttl_is_lost: false,
            to_queue,
        })
    }

    fn delayed_route(
        &self,
        live: &Live,
        usual: SenderLink,
        is_usual: bool,
        place: Place<'_>,
        delay: Duration,
        wait: &Wait<'_>,
    ) -> Result<Route> {
        let plugin = self.options.exchange_type == DELAYED_EXCHANGE;
        match (live.dialect.delay(), place.exchange) {
            (DelaySupport::Unsupported, _) => Err(Error::unsupported(format!(
                "{}: this broker cannot delay a job; push without 'delay'",
                self.describe()
            ))),
            (DelaySupport::EnqueueTime, _) if is_usual => Ok(Route {
                sender: usual,
                to: None,
                delay_mark: DelayMark::EnqueueTime,
                released_is_taken: false,
                ttl_is_lost: false,
                to_queue: place.exchange.is_none(),
            }),
            (DelaySupport::EnqueueTime, _) => {
                let address = place.address(live.dialect)?;
                self.addressed(
                    live,
                    address,
                    place.exchange.is_none(),
                    DelayMark::EnqueueTime,
                )
            }
            (DelaySupport::DelayQueues, Some(exchange)) if plugin => {
                self.check_bound(live, exchange, place.key, wait)?;
                let address = place.address(live.dialect)?;
                let route = self.addressed(live, address, false, DelayMark::XDelay)?;
                Ok(Route {
                    released_is_taken: true,
                    ..route
                })
            }
            (DelaySupport::DelayQueues, _) => self.delay_queue_route(live, place, delay, wait),
        }
    }

    /// The plugin answers `released` to what it has taken and to what nobody
    /// will get alike: so somebody's binding must be there.
    fn check_bound(&self, live: &Live, exchange: &str, key: &str, wait: &Wait<'_>) -> Result<()> {
        let memo = format!("bound\n{exchange}\n{}\n{key}", self.broker_queue);
        let (endpoint, connection) = (&self.endpoint, &live.connection);
        if pool::is_declared(endpoint, Role::Publish, connection, &memo, RECHECK) {
            return Ok(());
        }
        let management = pool::management(endpoint, Role::Publish, connection)?;
        if !topology::is_bound(&management, exchange, &self.broker_queue, key, wait)? {
            return Err(Error::unroutable(format!(
                "{}: no binding of exchange '{exchange}' with key '{key}' leads to the queue; bind it, or call setup()",
                self.describe()
            )));
        }
        pool::set_declared(endpoint, Role::Publish, connection, &memo);
        Ok(())
    }

    fn delay_queue_route(
        &self,
        live: &Live,
        place: Place<'_>,
        delay: Duration,
        wait: &Wait<'_>,
    ) -> Result<Route> {
        let now = roadrunner::now_millis().unsigned_abs();
        let Some(queue) = delay::queue(delay, &place.target(), now) else {
            return Err(Error::unsupported(format!(
                "{}: RabbitMQ can delay a job by {} days at the most",
                self.describe(),
                delay::LONGEST.as_secs() / 86_400
            )));
        };
        let (endpoint, connection) = (&self.endpoint, &live.connection);
        if !pool::is_declared(
            endpoint,
            Role::Publish,
            connection,
            &queue.name,
            Duration::MAX,
        ) {
            let management = pool::management(endpoint, Role::Publish, connection)?;
            let exchange = place.exchange.unwrap_or("");
            topology::declare_delay_queue(&management, &queue, (exchange, place.key), wait)?;
            pool::set_declared(endpoint, Role::Publish, connection, &queue.name);
        }
        let route = self.addressed(
            live,
            live.dialect.queue_address(&queue.name),
            true,
            DelayMark::None,
        )?;
        Ok(Route {
            ttl_is_lost: true,
            ..route
        })
    }
}

/// Where a job goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// As the queue is configured.
    Usual,
    /// With another routing key.
    Key(String),
    /// Directly to a queue by its name.
    Queue(String),
}

impl Destination {
    /// Where a job asks to go: its option `routing_key`, or its header `x-routing-key`.
    pub fn of(job: &Job<'_>) -> Self {
        if let Some(key) = &job.options.routing_key {
            return Destination::Key(key.to_string());
        }
        let mut headers = job.options.headers.iter();
        let key = headers.find_map(|(name, value)| match (name.as_ref(), value) {
            (ROUTING_KEY_HEADER, HeaderValue::Text(key)) => Some(key.to_string()),
            _ => None,
        });
        key.map_or(Destination::Usual, Destination::Key)
    }
}

/// An exchange and a routing key; without the exchange, a queue's name.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    exchange: Option<&'a str>,
    key: &'a str,
}

impl Place<'_> {
    fn address(&self, dialect: &dyn Dialect) -> Result<String> {
        match self.exchange {
            Some(exchange) => dialect.exchange_address(exchange, self.key),
            // The default exchange routes by queue name.
            None => Ok(dialect.queue_address(self.key)),
        }
    }

    /// What its delay queues are named after.
    fn target(&self) -> String {
        match self.exchange {
            Some(exchange) => format!("{exchange}/{}", self.key),
            None => self.key.to_owned(),
        }
    }
}
