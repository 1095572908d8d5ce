//! Where a job goes: addresses, delays, queues that are declared on the way.

use std::time::Duration;

use crate::base::wait::Wait;
use crate::brokers::rabbitmq::delay;
use crate::brokers::rabbitmq::delay_queues;
use crate::brokers::rabbitmq::topology::{self, Strictness, Topology, DELAYED_EXCHANGE};
use crate::brokers::{DelaySupport, Dialect};
use crate::connection::SenderLink;
use crate::error::{Error, Result};
use crate::format::roadrunner::{self, DelayMark, ROUTING_KEY_HEADER};
use crate::job::{HeaderValue, Job};
use crate::reach::live::{Definition, Live};
use crate::reach::pool::{self, Role};
use crate::settings::options::QueueOptions;

/// How long a binding that was seen is taken to be there.
const RECHECK: Duration = Duration::from_secs(60);

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
    /// `accepted` does not say that the queue exists.
    pub unsure: bool,
}

impl Definition {
    /// Where and how a job for `destination` is sent.
    pub fn route(
        &self,
        destination: &Destination,
        delay: Duration,
        wait: &Wait<'_>,
    ) -> Result<Route> {
        let used = [Role::Publish, self.management_role()];
        let used = &used[..if self.options.declare { 2 } else { 1 }];
        self.surviving(used, wait, || self.try_route(destination, delay, wait))
    }

    fn try_route(
        &self,
        destination: &Destination,
        delay: Duration,
        wait: &Wait<'_>,
    ) -> Result<Route> {
        let (live, usual) = self.usual(wait)?;
        let place = self.place(destination);
        let is_usual = matches!(destination, Destination::Usual);
        if !delay.is_zero() {
            let usual = is_usual.then_some(usual);
            return self.delayed_route(&live, usual, place, delay, wait);
        }
        if is_usual {
            return Ok(Route {
                sender: usual,
                to: None,
                delay_mark: DelayMark::None,
                released_is_taken: false,
                ttl_is_lost: false,
                to_queue: place.exchange.is_none(),
                unsure: live.dialect.confirms_what_it_loses(),
            });
        }
        if let Destination::Queue(queue) = destination {
            self.declare_other(queue, wait)?;
        }
        let address = place.address(live.dialect)?;
        live.authorize(self, &address, wait)?;
        self.addressed(
            &live,
            address,
            place.exchange.is_none(),
            DelayMark::None,
            wait,
        )
    }

    pub fn place<'a>(&'a self, destination: &'a Destination) -> Place<'a> {
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

    /// The routing key of a job that goes to an exchange.
    pub fn routing_key_of<'a>(&'a self, destination: &'a Destination) -> Option<&'a str> {
        let place = self.place(destination);
        place.exchange.map(|_| place.key)
    }

    /// For messages: `exchange 'x' with routing key 'k'`, or `queue 'q'`.
    pub fn name_of(&self, destination: &Destination) -> String {
        let place = self.place(destination);
        match place.exchange {
            Some(exchange) => format!("exchange '{exchange}' with routing key '{}'", place.key),
            None => format!("queue '{}'", place.key),
        }
    }

    /// The queue that a job for `destination` goes to, if not to an exchange.
    pub fn queue_of<'a>(&'a self, destination: &'a Destination) -> Option<&'a str> {
        let place = self.place(destination);
        place.exchange.is_none().then_some(place.key)
    }

    /// What the delay queues of the usual destination are named after.
    pub fn delay_target(&self) -> String {
        self.place(&Destination::Usual).target()
    }

    /// A queue that is not the configured one: a failed queue, for instance.
    fn declare_other(&self, queue: &str, wait: &Wait<'_>) -> Result<()> {
        if queue == self.broker_queue || !self.options.declare {
            return Ok(());
        }
        let memo = format!("{queue}\n");
        self.declare_by_attaching(queue, &QueueOptions::default(), &memo, wait)?;
        self.once(Role::Publish, &memo, Duration::MAX, wait, |management| {
            let options = topology::like(&self.options);
            let topology = Topology {
                queue,
                options: &options,
                routing_key: queue,
            };
            topology.declare(management, Strictness::UseWhatExists, wait)
        })
    }

    /// Over the anonymous terminus where the broker has one: routing keys may
    /// be as many as jobs, links may not.
    fn addressed(
        &self,
        live: &Live,
        address: String,
        to_queue: bool,
        delay_mark: DelayMark,
        wait: &Wait<'_>,
    ) -> Result<Route> {
        self.confirm_queue(live, &address, wait)?;
        let relay = live.dialect.relays() && live.connection.remote().offers("ANONYMOUS-RELAY");
        let target = (!relay).then_some(address.as_str());
        let sender = self.sender(live, target, wait)?;
        Ok(Route {
            sender,
            to: relay.then_some(address),
            delay_mark,
            released_is_taken: false,
            ttl_is_lost: false,
            to_queue,
            unsure: live.dialect.confirms_what_it_loses(),
        })
    }

    fn delayed_route(
        &self,
        live: &Live,
        usual: Option<SenderLink>,
        place: Place<'_>,
        delay: Duration,
        wait: &Wait<'_>,
    ) -> Result<Route> {
        let plugin = self.options.exchange_type == DELAYED_EXCHANGE;
        match (live.dialect.delay(), place.exchange) {
            (DelaySupport::Unsupported, _) => Err(Error::unsupported(format!(
                "{}: this broker cannot delay a job; push without 'delay', and retry with 'backoff' 0",
                self.describe()
            ))),
            (DelaySupport::EnqueueTime, _) => {
                self.marked_route(live, usual, place, DelayMark::EnqueueTime, wait)
            }
            // A TTL there counts from the sending, and would be over before the delay.
            (DelaySupport::DeliveryDelay, _) => {
                self.check_delays(live, wait)?;
                Ok(Route {
                    ttl_is_lost: true,
                    ..self.marked_route(live, usual, place, DelayMark::DeliveryDelay, wait)?
                })
            }
            (DelaySupport::DelayQueues, Some(exchange)) if plugin => {
                self.check_bound(exchange, place.key, wait)?;
                let address = place.address(live.dialect)?;
                let route = self.addressed(live, address, false, DelayMark::XDelay, wait)?;
                Ok(Route {
                    released_is_taken: true,
                    ..route
                })
            }
            (DelaySupport::DelayQueues, _) => self.delay_queue_route(live, place, delay, wait),
        }
    }

    /// Whether the broker does delay, once a connection.
    fn check_delays(&self, live: &Live, wait: &Wait<'_>) -> Result<()> {
        const MEMO: &str = "delays\n\n";
        let (endpoint, connection) = (&self.endpoint, &live.connection);
        if pool::is_declared(endpoint, Role::Publish, connection, MEMO, Duration::MAX) {
            return Ok(());
        }
        let kept = live.dialect.keeps_delays(connection, wait);
        kept.map_err(|error| error.context(self.describe()))?;
        pool::set_declared(endpoint, Role::Publish, connection, MEMO);
        Ok(())
    }

    /// Where the message itself says when it is to be delivered.
    fn marked_route(
        &self,
        live: &Live,
        usual: Option<SenderLink>,
        place: Place<'_>,
        delay_mark: DelayMark,
        wait: &Wait<'_>,
    ) -> Result<Route> {
        let to_queue = place.exchange.is_none();
        let Some(sender) = usual else {
            let address = place.address(live.dialect)?;
            live.authorize(self, &address, wait)?;
            return self.addressed(live, address, to_queue, delay_mark, wait);
        };
        Ok(Route {
            sender,
            to: None,
            delay_mark,
            released_is_taken: false,
            ttl_is_lost: false,
            to_queue,
            unsure: live.dialect.confirms_what_it_loses(),
        })
    }

    /// The plugin answers `released` to what it has taken and to what nobody
    /// will get alike: so somebody's binding must be there.
    fn check_bound(&self, exchange: &str, key: &str, wait: &Wait<'_>) -> Result<()> {
        let queue = &self.broker_queue;
        let memo = format!("bound\n{exchange}\n{queue}\n{key}");
        self.once(Role::Publish, &memo, RECHECK, wait, |management| {
            if topology::is_bound(management, exchange, queue, key, wait)? {
                return Ok(());
            }
            Err(Error::unroutable(format!(
                "{}: no binding of exchange '{exchange}' with key '{key}' leads to the queue; bind it, or call setup()",
                self.describe()
            )))
        })
    }

    fn delay_queue_route(
        &self,
        live: &Live,
        place: Place<'_>,
        delay: Duration,
        wait: &Wait<'_>,
    ) -> Result<Route> {
        let now = roadrunner::now_millis().unsigned_abs();
        let before = place.target();
        let Some(queue) = delay::queue(delay, &before, now) else {
            return Err(Error::unsupported(format!(
                "{}: RabbitMQ can delay a job by {} days at the most",
                self.describe(),
                delay::LONGEST.as_secs() / 86_400
            )));
        };
        self.once(
            Role::Publish,
            &queue.name,
            Duration::MAX,
            wait,
            |management| {
                let target = (place.exchange.unwrap_or(""), place.key);
                let declared =
                    delay_queues::declare(management, &queue, &before, target, now, wait);
                declared.map_err(|error| error.context(self.describe()))
            },
        )?;
        let route = self.addressed(
            live,
            live.dialect.queue_address(&queue.name),
            true,
            DelayMark::None,
            wait,
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
pub(crate) struct Place<'a> {
    exchange: Option<&'a str>,
    key: &'a str,
}

impl Place<'_> {
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
    fn target(&self) -> String {
        match self.exchange {
            Some(exchange) => format!("{exchange}/{}", self.key),
            None => self.key.to_owned(),
        }
    }
}
