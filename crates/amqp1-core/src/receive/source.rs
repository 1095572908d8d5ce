//! One queue of a consumer: its receiver link, attached again when it was lost.

mod service_bus;
mod silence;
mod timeout;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use serde_amqp::Value;

use self::silence::Silence;
use crate::base::backoff::{self, Lives};
use crate::base::fork;
use crate::base::pauses::{ATTACH, ATTACH_TRIES, LONGEST_REATTACH, REST};
use crate::base::sync::Mutex;
use crate::base::wait::{Signal, Wait};
use crate::brokers::servicebus::companion::ServiceBusCompanion;
use crate::brokers::servicebus::session_claim::Turn;
use crate::brokers::servicebus::settle::ServiceBusSource;
use crate::brokers::Dialect;
use crate::connection::{Incoming, ReceiverLink, ReceiverOptions};
use crate::error::condition::Condition;
use crate::error::{Error, ErrorKind, Result};
use crate::format::history::Ledger;
use crate::reach::definition::Definition;
use crate::reach::pool::{self, Role, RESTING};
use crate::settings::options::ConsumerOptions;
use crate::settings::retry::{Redelivery, RetryOptions};

/// One queue of a consumer.
#[derive(Debug)]
pub(crate) struct Source {
    pub definition: Arc<Definition>,
    prefetch: u32,
    priority: Option<i32>,
    /// How long the broker is to let it hold a job.
    timeout: Option<Duration>,
    retry: RetryOptions,
    /// The sessions it takes (Service Bus).
    turn: Option<Turn>,
    attached: Mutex<Option<Attached>>,
    /// The consumer wants nothing of it.
    held: AtomicBool,
    /// What the link was told of being paused.
    told: AtomicBool,
    /// The link was asked whether there is more, in the question under way.
    asked: AtomicBool,
    /// How long its links last.
    lives: Mutex<Option<Lives>>,
    /// After failed attaches: how long it is left alone, and until when.
    rest: Mutex<Option<(Duration, Instant)>>,
    silence: Silence,
}

/// A link that is closed when neither its consumer nor a job taken from it is
/// there any more: jobs in hand can be settled after their consumer is gone.
#[derive(Debug)]
pub(crate) struct HeldLink {
    link: ReceiverLink,
    generation: u64,
    pub dialect: &'static dyn Dialect,
    /// What its deliveries' counts tell.
    pub ledger: Ledger,
    /// What came back without a word is handed out alone.
    pub is_careful: bool,
    /// No copy takes the place of what the broker will soon move away: it failed once.
    pub keeps_worn: AtomicBool,
    /// The broker's address of the queue.
    pub address: String,
    /// What becomes of its jobs that fail.
    pub retry: RetryOptions,
    /// Asked for when the first job is given back.
    redelivery: OnceLock<Redelivery>,
    /// What it is besides on Service Bus.
    pub service_bus: Option<ServiceBusSource>,
}

impl HeldLink {
    /// The link's name, where it was given one (Service Bus).
    pub fn name(&self) -> &str {
        self.service_bus.as_ref().map_or("", ServiceBusSource::link)
    }

    /// What the broker does about jobs of this queue that are given back.
    pub fn redelivery(&self, definition: &Definition, wait: &Wait<'_>) -> Result<Redelivery> {
        if let Some(known) = self.redelivery.get() {
            return Ok(*known);
        }
        let remote = self.link.remote();
        let found = match self.dialect.redelivery(remote, None) {
            Some(found) => found,
            None => {
                let queue_type = definition.queue_type(wait)?;
                let found = self.dialect.redelivery(remote, queue_type.as_deref());
                found.unwrap_or(Redelivery::Uncounted)
            }
        };
        Ok(*self.redelivery.get_or_init(|| found))
    }
}

impl std::ops::Deref for HeldLink {
    type Target = ReceiverLink;

    fn deref(&self) -> &ReceiverLink {
        &self.link
    }
}

impl Drop for HeldLink {
    fn drop(&mut self) {
        // A parent's link is not torn down by its child.
        if self.generation == fork::generation() {
            if let Some(service_bus) = &self.service_bus {
                service_bus.leave_session();
            }
            self.link.close();
        }
    }
}

/// The link of a source; of whatever process, see [`HeldLink`].
pub(crate) type Attached = Arc<HeldLink>;

impl Source {
    pub fn new(definition: Arc<Definition>, options: &ConsumerOptions) -> Self {
        Self {
            prefetch: options.prefetch.unwrap_or(definition.options.prefetch),
            priority: options.priority,
            timeout: options.consumer_timeout,
            retry: options.retry.over(&definition.options.retry),
            turn: options.session.clone().map(Turn::new),
            attached: Mutex::new(None),
            held: AtomicBool::new(false),
            told: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            lives: Mutex::new(None),
            rest: Mutex::new(None),
            silence: Silence::default(),
            definition,
        }
    }

    /// The link, if there is one of this process.
    pub fn attached(&self) -> Option<Attached> {
        self.own().clone()
    }

    fn own(&self) -> MutexGuard<'_, Option<Attached>> {
        let mut attached = self.attached.lock();
        let is_parents = |one: &Attached| one.generation != fork::generation();
        if attached.as_ref().is_some_and(is_parents) {
            // Neither used nor torn down here.
            std::mem::forget(attached.take());
        }
        attached
    }

    /// There is a link of this process, or one is asked for.
    pub fn is_attached(&self) -> bool {
        self.own().is_some() || self.turn.as_ref().is_some_and(Turn::is_asking)
    }

    /// Until when it is left alone, because it could not be attached.
    pub fn rests_until(&self) -> Option<Instant> {
        self.session_rests_until()
            .or(self.rest.lock().map(|(_, until)| until))
    }

    /// It broke soon after it was had: what is next to be done is to pause.
    pub fn is_broken(&self) -> bool {
        self.lives.lock().is_some_and(|lives| lives.ended() > 0)
            || pool::is_resting(&self.definition.endpoint, Role::Consume)
    }

    /// Attaches unless that is done; waits for the broker's answer. What fails
    /// is left alone for a while where others can be served.
    ///
    /// # Errors
    /// What dialling, declaring or the attach failed with.
    pub fn attach(&self, signal: &Signal, wait: &Wait<'_>) -> Result<()> {
        if self.is_attached() {
            return Ok(());
        }
        let attached = self.attach_now(signal, wait);
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
        // A queue is declared when it turns out to be missing: RabbitMQ answers no
        // declaration while it is short of memory, and a worker that starts then
        // is what helps it.
        let mut declare = self.definition.options.exchange.is_some();
        let (mut tries, mut may_renew) = (0, true);
        loop {
            tries += 1;
            let attempt = || self.try_attach(declare, signal, wait);
            // Declaring is done over the connection of that role.
            let used = [Role::Consume, self.definition.management_role()];
            let used = &used[..if declare { 2 } else { 1 }];
            match self.definition.surviving(used, wait, attempt) {
                // For a passing reason, as a queue that is not ready after a restart.
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
                    // Declared earlier, deleted since: once more.
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
        let mut live = definition.connect(Role::Consume, wait)?;
        // Known before the first job fails.
        definition.failed_queue(self.retry.failed_queue())?;
        let unasked = live.dialect.makes_what_is_missing() && definition.options.declare;
        if declare || unasked {
            live = definition.declared(Role::Consume, wait)?;
        }
        let mut options = ReceiverOptions {
            prefetch: self.prefetch,
            in_windows: live.dialect.overruns_credit(),
            answered_early: live.dialect.drains_early(),
            ask: live.dialect.asks(),
            ledger: live.dialect.ledger(live.connection.remote()),
            counts_end: live.dialect.counts_end(),
            timeout: self.known_timeout(&live),
            ..ReceiverOptions::default()
        };
        if let Some(priority) = self.priority {
            let Some(property) = live.dialect.priority_property() else {
                return Err(Error::unsupported(format!(
                    "{}: this broker has no consumer priorities; remove the option 'priority'",
                    definition.describe()
                )));
            };
            options
                .properties
                .push((property.to_owned(), Value::from(priority)));
        }
        if let Some(timeout) = self.timeout {
            options.properties.push(self.timeout(&live, timeout, wait)?);
        }
        let live = definition.with_room(live, Role::Consume, wait)?;
        live.dialect.check_name(&definition.broker_queue)?;
        let address = live.dialect.queue_address(&definition.broker_queue);
        let mut service_bus = None;
        if let Some(client) = live
            .companion
            .as_ref()
            .and_then(ServiceBusCompanion::shared)
        {
            live.authorize(definition, &address, wait)?;
            service_bus = Some(self.service_bus(&client, &address, &mut options)?);
        }
        let ledger = options.ledger;
        // What goes back would come after those behind it: a session is an order.
        let is_careful = ledger != Ledger::None && self.turn.is_none();
        if !is_careful {
            options.ledger = Ledger::None;
        }
        let link = ReceiverLink::open(&live.connection, &address, &options, signal.clone());
        let link = link.map_err(|error| match error.is(Condition::ALL_IN_USE) {
            true => definition.full(&live),
            false => error,
        })?;
        let held = |link, service_bus| {
            Arc::new(HeldLink {
                link,
                generation: fork::generation(),
                dialect: live.dialect,
                ledger,
                is_careful,
                keeps_worn: AtomicBool::new(false),
                address,
                retry: self.retry.clone(),
                redelivery: OnceLock::new(),
                service_bus,
            })
        };
        if let Some(turn) = &self.turn {
            turn.ask(held(link, service_bus));
            return Ok(());
        }
        let answered = live
            .connection
            .answer(signal, wait, || match link.attached() {
                Ok(true) => Ok(Some(())),
                Ok(false) => Ok(None),
                Err(error) => Err(error),
            });
        match answered {
            Ok(Some(())) => {}
            Ok(None) => {
                link.close();
                return Err(Error::timeout(format!(
                    "{}: the broker did not answer the attach in time",
                    definition.describe()
                )));
            }
            Err(error) => {
                link.close();
                return Err(self.refused(live.dialect.explain(error)));
            }
        }
        self.told.store(false, Ordering::Relaxed);
        let mut lives = self.lives.lock();
        *lives = Some(Lives::begin(*lives));
        *self.attached.lock() = Some(held(link, service_bus));
        Ok(())
    }

    /// The next delivery that has come. `Err` when the link is over; the next
    /// [`Source::attach`] makes a new one.
    pub fn take(&self) -> Result<Option<(Incoming, Attached)>> {
        let Some(attached) = self.attached() else {
            if self.turn.is_some() {
                self.take_session()?;
            }
            return Ok(None);
        };
        match attached.take() {
            Ok(Some(incoming)) => {
                if let Some(turn) = &self.turn {
                    turn.note_job();
                }
                Ok(Some((incoming, attached)))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                *self.attached.lock() = None;
                if attached.service_bus.is_none() {
                    return Err(error);
                }
                // A token that is over is no error before a new one is refused.
                Err(match error.kind() {
                    ErrorKind::Authentication => {
                        self.definition.renews_token(Role::Consume, &error);
                        Error::connection(error.message())
                    }
                    _ => Turn::lost(error),
                })
            }
        }
    }

    /// Nothing has come for the moment: a host that may be cut off is asked, and left.
    pub fn is_silent(&self) {
        if self.turn.is_none() && !self.is_paused() {
            if let Some(attached) = self.attached() {
                self.silence.look(&attached);
            }
        }
    }

    /// The question whether there is more has not been asked yet.
    pub fn begin_question(&self) {
        self.asked.store(false, Ordering::Relaxed);
    }

    /// What there was when it was asked has come, or nothing can come. Asks, the first time;
    /// a session on Service Bus may have come since the others were asked.
    pub fn is_answered(&self) -> bool {
        if self.is_paused() {
            return true;
        }
        let Some(attached) = self.attached() else {
            return !self.is_attached();
        };
        // A link that is over answers nothing: the next look tells.
        if !self.asked.swap(true, Ordering::Relaxed) && attached.ask().is_err() {
            return true;
        }
        attached.is_answered()
    }

    /// Asks for nothing more and gives back what is buffered; or asks again, unless
    /// the pipeline is paused.
    pub fn set_paused(&self, paused: bool) {
        if paused {
            self.stop_asking();
        }
        self.held.store(paused, Ordering::Relaxed);
        if let Some(attached) = self.attached() {
            self.tell(&attached, self.is_paused());
        }
    }

    /// The consumer is paused, or the pipeline is.
    pub fn is_paused(&self) -> bool {
        self.held.load(Ordering::Relaxed) || self.definition.paused.load(Ordering::Relaxed)
    }

    /// Tells the link when that has changed. True when there is none, and one is wanted.
    pub fn follow(&self) -> bool {
        let paused = self.is_paused();
        if self.told.load(Ordering::Relaxed) == paused {
            return false;
        }
        match self.attached() {
            Some(attached) => {
                self.tell(&attached, paused);
                false
            }
            None => {
                self.told.store(paused, Ordering::Relaxed);
                !paused
            }
        }
    }

    fn tell(&self, attached: &Attached, paused: bool) {
        self.told.store(paused, Ordering::Relaxed);
        // A link that is gone has given back everything already.
        let _ = attached.set_prefetch(if paused { 0 } else { self.prefetch });
    }

    /// Gives back what is buffered and lets go of the link, which is closed when
    /// the last job in hand is gone.
    pub fn release(&self) {
        self.set_paused(true);
        if let Some(attached) = self.attached() {
            attached.hush();
            *self.attached.lock() = None;
        }
    }

    /// Gives back everything that is not settled, and detaches.
    pub fn close(&self) {
        self.stop_asking();
        // Ended by us: the next one need not wait.
        *self.lives.lock() = None;
        if let Some(attached) = self.attached() {
            if let Some(service_bus) = &attached.service_bus {
                service_bus.leave_session();
            }
            attached.hush();
            attached.close();
            *self.attached.lock() = None;
        }
    }
}
