//! Where a job goes: addresses, delays, queues that are declared on the way.

use std::time::Duration;

use crate::base::clock::now_millis;
use crate::base::wait::Wait;
use crate::brokers::rabbitmq::delay;
use crate::brokers::rabbitmq::delay_queues;
use crate::brokers::rabbitmq::topology::{self, Strictness, Topology, DELAYED_EXCHANGE};
use crate::brokers::{DelaySupport, Recipient};
use crate::connection::SenderLink;
use crate::error::{Error, Result};
use crate::format::envelope::DelayMark;
use crate::reach::destination::Destination;
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
        let recipient = self.recipient(destination);
        let is_usual = matches!(destination, Destination::Usual);
        if !delay.is_zero() {
            let usual = is_usual.then_some(usual);
            return self.delayed_route(&live, usual, recipient, delay, wait);
        }
        if is_usual {
            return Ok(Route {
                sender: usual,
                to: None,
                delay_mark: DelayMark::None,
                released_is_taken: false,
                ttl_is_lost: false,
                to_queue: recipient.exchange.is_none(),
                unsure: live.dialect.confirms_what_it_loses(),
            });
        }
        if let Destination::Queue(queue) = destination {
            self.declare_other(queue, wait)?;
        }
        let address = recipient.address(live.dialect)?;
        live.authorize(self, &address, wait)?;
        self.addressed(
            &live,
            address,
            recipient.exchange.is_none(),
            DelayMark::None,
            wait,
        )
    }

    /// What the delay queues of the usual destination are named after.
    pub fn delay_target(&self) -> String {
        self.recipient(&Destination::Usual).target()
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
        recipient: Recipient<'_>,
        delay: Duration,
        wait: &Wait<'_>,
    ) -> Result<Route> {
        let plugin = self.options.exchange_type == DELAYED_EXCHANGE;
        match (live.dialect.delay(), recipient.exchange) {
            (DelaySupport::Unsupported, _) => Err(Error::unsupported(format!(
                "{}: this broker cannot delay a job; push without 'delay', and retry with 'backoff' 0",
                self.describe()
            ))),
            (DelaySupport::EnqueueTime, _) => {
                self.marked_route(live, usual, recipient, DelayMark::EnqueueTime, wait)
            }
            // A TTL there counts from the sending, and would be over before the delay.
            (DelaySupport::DeliveryDelay, _) => {
                self.check_delays(live, wait)?;
                Ok(Route {
                    ttl_is_lost: true,
                    ..self.marked_route(live, usual, recipient, DelayMark::DeliveryDelay, wait)?
                })
            }
            (DelaySupport::DelayQueues, Some(exchange)) if plugin => {
                self.check_bound(exchange, recipient.key, wait)?;
                let address = recipient.address(live.dialect)?;
                let route = self.addressed(live, address, false, DelayMark::XDelay, wait)?;
                Ok(Route {
                    released_is_taken: true,
                    ..route
                })
            }
            (DelaySupport::DelayQueues, _) => self.delay_queue_route(live, recipient, delay, wait),
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
        recipient: Recipient<'_>,
        delay_mark: DelayMark,
        wait: &Wait<'_>,
    ) -> Result<Route> {
        let to_queue = recipient.exchange.is_none();
        let Some(sender) = usual else {
            let address = recipient.address(live.dialect)?;
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
        recipient: Recipient<'_>,
        delay: Duration,
        wait: &Wait<'_>,
    ) -> Result<Route> {
        let now = now_millis().unsigned_abs();
        let before = recipient.target();
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
                let target = (recipient.exchange.unwrap_or(""), recipient.key);
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
