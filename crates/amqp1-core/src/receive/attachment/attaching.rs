//! Attaches the link of a consumer's queue.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use serde_amqp::Value;

use super::link::SharedLink;
use super::Attachment;
use crate::base::backoff::{self, Lives};
use crate::base::counters::CountedQueue;
use crate::base::fork;
use crate::base::pauses::{ATTACH, ATTACH_TRIES, LONGEST_REATTACH, REST};
use crate::base::wait::{Signal, Wait};
use crate::brokers::seams::companion::holding::Holding;
use crate::brokers::Replies;
use crate::connection::{Ask, ReceiverLink, ReceiverOptions, Settling};
use crate::error::condition::Condition;
use crate::error::{Error, ErrorKind, Result};
use crate::format::history::Ledger;
use crate::reach::connected::Connected;
use crate::reach::pool::{self, Role, RESTING};
use crate::receive::claim::Claim;

impl Attachment {
    /// Attaches unless it is attached; waits for the broker's answer. After a failure it rests for
    /// a while, if other queues can be served.
    ///
    /// # Errors
    /// The error of connecting, declaring or attaching.
    pub fn attach(&self, signal: &Signal, wait: &Wait<'_>) -> Result<()> {
        if self.is_attached() {
            return Ok(());
        }
        let attached = self.attach_now(signal, wait);
        if let Err(error) = &attached {
            self.definition.tell_refused(Role::Consume, error);
        }
        let mut rest = self.rest.lock();
        *rest = match &attached {
            Ok(()) => None,
            Err(error) if error.kind() == ErrorKind::Interrupted => *rest,
            Err(_) => {
                let time = rest.map_or(REST.0, |(time, _)| (time * 2).min(REST.1));
                Some((time, Instant::now() + time))
            }
        };
        attached
    }

    fn attach_now(&self, signal: &Signal, wait: &Wait<'_>) -> Result<()> {
        let broken = self.lives.lock().map_or(0, |lives| lives.ended());
        let pause = backoff::pause(broken).min(LONGEST_REATTACH);
        wait.sleep(pause.min(wait.patience()))?;
        let mut again = self.definition.options.declare;
        // A queue is declared only when it turns out to be missing. RabbitMQ answers no declaration
        // while it is short of memory, and a worker that starts then would relieve it.
        let mut declare = self.definition.options.exchange.is_some();
        let (mut tries, mut may_renew) = (0, true);
        loop {
            tries += 1;
            let attempt = || self.try_attach(declare, signal, wait);
            // Declaring uses the connection of that role.
            let used = [Role::Consume, self.definition.management_role()];
            let used = &used[..if declare { 2 } else { 1 }];
            match self.definition.surviving(used, wait, attempt) {
                // A temporary reason, such as a queue that is not ready after a restart.
                Err(error)
                    if error.kind() == ErrorKind::Connection
                        && error.condition().is_some()
                        && !wait.left().is_zero()
                        && pool::is_connected(&self.definition.endpoint, Role::Consume) =>
                {
                    let dialect = self.definition.presumed();
                    let pause = dialect.pause_after(error.condition(), tries, ATTACH);
                    let patience = match tries <= ATTACH_TRIES {
                        true => wait.left(),
                        false => wait.patience(),
                    };
                    match pause.filter(|pause| *pause < patience) {
                        Some(pause) => wait.sleep(pause)?,
                        None => return Err(error.context(self.definition.describe())),
                    }
                }
                Err(error) if may_renew && self.definition.renews_token(Role::Consume, &error) => {
                    may_renew = false;
                }
                Err(error) if error.condition() == Some(RESTING) => {
                    return Err(error.context(self.definition.describe()));
                }
                Err(error) if error.kind() == ErrorKind::QueueNotFound && again => {
                    // Declared earlier, deleted since: declared once more.
                    self.definition.forget_declared();
                    again = false;
                    declare = true;
                }
                Err(error) if error.kind() == ErrorKind::QueueNotFound => {
                    return Err(Error::queue_not_found(format!(
                        "{}: {}; {}",
                        self.definition.describe(),
                        error.message(),
                        self.definition.when_missing()
                    )));
                }
                done => return done,
            }
        }
    }

    fn try_attach(&self, declare: bool, signal: &Signal, wait: &Wait<'_>) -> Result<()> {
        let definition = &self.definition;
        let mut connected = definition.connect(Role::Consume, wait)?;
        // Checked before the first job fails.
        definition.failed_queue(self.retry.failed_queue())?;
        let unasked = connected.dialect.makes_what_is_missing() && definition.options.declare;
        if declare || unasked {
            connected = definition.declared(Role::Consume, wait)?;
        }
        let options = self.options(&connected, wait)?;
        let (connected, mut link) = self.open_in_room(&connected, &options, signal, wait)?;
        if let Some(claim) = &self.claim {
            claim.ask(Arc::new(link));
            return Ok(());
        }
        self.await_answer(&connected, &link, signal, wait)?;
        if let Some(Replies::Dynamic(_)) = self.replies {
            let address = link.link.address()?.filter(|address| !address.is_empty());
            link.address = address.ok_or_else(|| self.has_no_address())?;
        }
        self.told.store(false, Ordering::Relaxed);
        let mut lives = self.lives.lock();
        *lives = Some(Lives::begin(*lives));
        *self.link.lock() = Some(Arc::new(link));
        Ok(())
    }

    /// The link's options.
    fn options(&self, connected: &Connected, wait: &Wait<'_>) -> Result<ReceiverOptions> {
        let dialect = connected.dialect;
        // A session is ours alone, so returns would be of no use to others.
        let returns = dialect.returns_freely(connected.connection.remote()) && self.claim.is_none();
        let elastic = self.prefetch.limits(returns);
        let mut options = ReceiverOptions {
            prefetch: self.prefetch.now(),
            elastic,
            in_windows: dialect.overruns_credit(),
            answered_early: dialect.drains_early(),
            ask: dialect.asks(),
            ledger: dialect.ledger(connected.connection.remote()),
            counts_end: dialect.counts_end(),
            timeout: self.known_timeout(connected),
            queue: Some(Arc::new(CountedQueue {
                counters: self.definition.counters(),
                endpoint: self.definition.endpoint.label().to_owned(),
                queue: self.definition.broker_queue.clone(),
            })),
            ..ReceiverOptions::default()
        };
        if let Some(priority) = self.priority {
            let Some(property) = dialect.priority_property() else {
                return Err(Error::unsupported(format!(
                    "{}: this broker has no consumer priorities; remove the option 'priority'",
                    self.definition.describe()
                )));
            };
            options
                .properties
                .push((property.to_owned(), Value::from(priority)));
        }
        if let Some(timeout) = self.timeout {
            let timeout = self.timeout(connected, timeout, wait)?;
            options.properties.push(timeout);
        }
        Ok(options)
    }

    /// Requests the link over a connection that has room for it.
    fn open_in_room(
        &self,
        usual: &Connected,
        options: &ReceiverOptions,
        signal: &Signal,
        wait: &Wait<'_>,
    ) -> Result<(Connected, SharedLink)> {
        loop {
            let connected = self
                .definition
                .with_room(usual.clone(), Role::Consume, wait)?;
            match self.open(&connected, options.clone(), signal, wait) {
                Ok(link) => return Ok((connected, link)),
                Err(error) if error.is(Condition::ALL_IN_USE) => {}
                Err(error) => return Err(error),
            }
            if self.definition.options.exclusive || wait.left().is_zero() {
                return Err(self.definition.full(&connected));
            }
            // Other threads have taken the last sessions: another connection has room.
        }
    }

    /// Requests the link, with its holding. The broker's answer comes later.
    fn open(
        &self,
        connected: &Connected,
        mut options: ReceiverOptions,
        signal: &Signal,
        wait: &Wait<'_>,
    ) -> Result<SharedLink> {
        let definition = &self.definition;
        connected.dialect.check_name(&definition.broker_queue)?;
        let address = connected.dialect.queue_address(&definition.broker_queue);
        if let Some(Replies::Dynamic(dynamic)) = self.replies {
            options.dynamic = Some(dynamic);
            options.ask = Ask::Nothing;
            if dynamic.settled {
                options.settling = Settling::Sent;
            }
        }
        let holding = self.holding(connected, &address, &mut options, wait)?;
        let ledger = options.ledger;
        // Returned jobs would come after those behind them, but a session has an order. Replies are
        // no jobs.
        let is_shared = self.claim.is_none() && self.replies.is_none();
        let is_careful = ledger != Ledger::None && is_shared;
        if !is_careful {
            options.ledger = Ledger::None;
        }
        let open = match definition.options.exclusive {
            // Tied to its connection, even if no session is left for others.
            true => ReceiverLink::open,
            false => ReceiverLink::open_in_room,
        };
        let link = open(&connected.connection, &address, &options, signal.clone())?;
        Ok(SharedLink {
            link,
            generation: fork::generation(),
            dialect: connected.dialect,
            ledger,
            is_careful,
            keeps_worn: AtomicBool::new(false),
            address,
            retry: self.retry.clone(),
            redelivery: OnceLock::new(),
            keeps_rejected: OnceLock::new(),
            timeout: options.timeout,
            holding,
            deferred: AtomicU32::new(0),
        })
    }

    fn has_no_address(&self) -> Error {
        Error::unsupported(format!(
            "{}: the broker gives no address for replies: it ignored the request for a dynamic node",
            self.definition.describe()
        ))
    }

    fn holding(
        &self,
        connected: &Connected,
        address: &str,
        options: &mut ReceiverOptions,
        wait: &Wait<'_>,
    ) -> Result<Option<Box<dyn Holding>>> {
        let Some(companion) = &connected.companion else {
            return Ok(None);
        };
        companion.authorize(&self.definition, address, wait)?;
        let wish = self.claim.as_ref().map(Claim::wish);
        Arc::clone(companion).receiver(&self.definition, address, wish, options)
    }

    fn await_answer(
        &self,
        connected: &Connected,
        link: &ReceiverLink,
        signal: &Signal,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let answered = connected
            .connection
            .answer(signal, wait, || Ok(link.attached()?.then_some(())));
        let error = match answered {
            Ok(Some(())) => return Ok(()),
            Ok(None) => Error::timeout(format!(
                "{}: the broker did not answer the attach in time",
                self.definition.describe()
            )),
            Err(error) => self.refused(connected.dialect.explain(error)),
        };
        Err(error)
    }
}
