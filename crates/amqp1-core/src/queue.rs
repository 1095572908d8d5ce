//! A queue, as users see it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::id;
use crate::base::wait::Wait;
use crate::brokers::seams::companion::cannot_schedule;
use crate::brokers::seams::subject::Figures;
use crate::connection::{ping, tls};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Job;
use crate::publish::batch::Batch;
use crate::publish::observed::PushTarget;
use crate::publish::publisher::Publisher;
use crate::reach::connected::Connected;
use crate::reach::definition::Definition;
use crate::reach::destination::Destination;
use crate::reach::pool::Role;
use crate::receive::consumer::Consumer;
use crate::receive::deferred;
use crate::receive::delivery::Delivery;
use crate::receive::peeked::{self, Peeked};
use crate::receive::pull::Pull;
use crate::settings::endpoint::{split_query, Endpoint};
use crate::settings::options::{ConsumerOptions, QueueOptions};
use crate::settings::shared_endpoint::SharedEndpoint;
use crate::settings::spec::Spec;

/// The queue's name if only the DSN is given.
const DEFAULT_QUEUE: &str = "default";

/// Figures of one queue; `None` if the broker does not report them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// ready + delayed + reserved, without unknown ones.
    pub active: u64,
    /// Jobs that wait for their time.
    pub delayed: Option<u64>,
    /// Jobs that can be delivered now.
    pub ready: u64,
    /// Jobs that are delivered and not settled.
    pub reserved: Option<u64>,
    /// Attached consumers.
    pub consumers: Option<u64>,
    /// The broker that reports them.
    pub broker: BrokerInfo,
}

impl QueueStats {
    fn of(found: &Figures, broker: BrokerInfo) -> Self {
        Self {
            active: found.ready + found.delayed.unwrap_or(0) + found.reserved.unwrap_or(0),
            delayed: found.delayed,
            ready: found.ready,
            reserved: found.reserved,
            consumers: found.consumers,
            broker,
        }
    }
}

/// Information about the broker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerInfo {
    /// `rabbitmq4`, `rabbitmq3`, `servicebus`, `artemis`, `activemq`, `embedded` or `generic`.
    pub dialect: String,
    /// The product in the broker's `open`.
    pub product: String,
    /// Its version.
    pub version: String,
    /// How long a consumer of this queue may hold a job, by options and by what this kind of
    /// broker does without; `None` if nothing limits it, or nothing is known.
    pub longest_job: Option<Duration>,
}

impl BrokerInfo {
    fn of(connected: &Connected, options: &QueueOptions) -> Self {
        let remote = connected.connection.remote();
        Self {
            dialect: connected.dialect.name().to_owned(),
            product: if remote.product.is_empty() {
                remote.container_id.clone()
            } else {
                remote.product.clone()
            },
            version: remote.version.clone(),
            longest_job: connected.dialect.longest_job(options, remote),
        }
    }
}

/// A named queue at an endpoint. Connects on first use; cheap to clone; usable after a fork.
#[derive(Debug, Clone)]
pub struct Queue {
    definition: Arc<Definition>,
}

impl Queue {
    /// Checks everything that can be checked without the network. It does not read options in the
    /// DSN's query: the caller applies them first, with [`Queue::options_of`].
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`], whose message never repeats the DSN.
    pub fn new(dsn: &str, queue: Option<&str>, options: QueueOptions) -> Result<Self> {
        let (address, _) = split_query(dsn)?;
        let endpoint = Endpoint::parse(address, &options)?;
        let entity = endpoint.entity.clone();
        let queue = queue.or(entity.as_deref()).unwrap_or(DEFAULT_QUEUE);
        Self::at(endpoint, queue, options)
    }

    /// A queue at an endpoint that was created with these options.
    ///
    /// # Errors
    /// As [`Queue::new`].
    pub fn at(endpoint: Endpoint, queue: &str, options: QueueOptions) -> Result<Self> {
        options.check()?;
        tls::check(&endpoint.tls)?;
        let other = |entity: &&String| !entity.eq_ignore_ascii_case(queue);
        if let Some(entity) = endpoint.entity.as_ref().filter(other) {
            return Err(Error::config(format!(
                "the DSN is only for '{entity}', not for the queue '{queue}'"
            )));
        }
        if queue.is_empty() {
            return Err(Error::config("the queue's name must not be empty"));
        }
        if queue.len() > 255 {
            return Err(Error::config(
                "the queue's name is must be at most 255 bytes long",
            ));
        }
        if options.exchange.is_none() {
            let key = options.routing_key.as_ref().filter(|key| *key != queue);
            let kind = Some(&options.exchange_type).filter(|kind| *kind != "direct");
            let option = key.map(|_| "routing_key").or(kind.map(|_| "exchange_type"));
            if let Some(option) = option {
                return Err(Error::config(format!(
                    "option '{option}' needs the option 'exchange': without it, jobs go directly to the queue '{queue}'; set 'exchange', or remove '{option}'"
                )));
            }
        }
        let name = options.name.clone().unwrap_or_else(|| queue.to_owned());
        let definition = Definition::new(Spec::new(
            SharedEndpoint::new(endpoint),
            queue.to_owned(),
            name,
            options,
        ));
        definition.failed_queue(definition.options.retry.failed_queue())?;
        Ok(Self {
            definition: Arc::new(definition),
        })
    }

    /// Applies the options in the DSN's query to `defaults`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for an unknown or invalid option.
    pub fn options_of(dsn: &str, defaults: QueueOptions) -> Result<QueueOptions> {
        let (_, query) = split_query(dsn)?;
        defaults.apply("DSN", &query)
    }

    pub(crate) fn of(definition: Definition) -> Self {
        Self {
            definition: Arc::new(definition),
        }
    }

    /// Pulls the next job: `None` if there is none and none arrives within `patience`. Without a
    /// job, nothing stays attached; otherwise the link stays until the job is dropped.
    ///
    /// # Errors
    /// As [`crate::Consumer::next`]; Timeout if the broker does not answer.
    pub fn reserve(&self, patience: Duration, wait: &Wait<'_>) -> Result<Option<Rc<Delivery>>> {
        let pull = Pull::new(&self.definition);
        let job = pull.take(1, patience, wait)?.pop();
        match &job {
            Some(job) => job.hand_out(Instant::now()),
            None => pull.close(),
        }
        Ok(job)
    }

    /// Receives jobs that were set aside, by their numbers; those of a queue with sessions, with
    /// their session.
    ///
    /// # Errors
    /// Rejected if one of them is not there; Unsupported except on Service Bus.
    pub fn receive_deferred(
        &self,
        numbers: &[i64],
        session: Option<&str>,
        wait: &Wait<'_>,
    ) -> Result<Vec<Rc<Delivery>>> {
        deferred::check(&self.definition)?;
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let pull = match session {
            Some(session) => Pull::of_session(&self.definition, session),
            None => Pull::new(&self.definition),
        };
        let (link, definition) = pull.attached(wait)?;
        deferred::receive(numbers, &link, definition, wait)
    }

    /// Looks at up to `max` jobs from the number `from` on, which stay in the queue as they are.
    ///
    /// # Errors
    /// QueueNotFound; Unsupported if the broker shows no job without handing it out.
    pub fn peek(&self, from: i64, max: u32, wait: &Wait<'_>) -> Result<Vec<Peeked>> {
        peeked::peek(&self.definition, from, max, wait)
    }

    pub(crate) fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// The pipeline's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.definition.pipeline
    }

    /// The endpoint without secrets, for people: `amqp://guest@localhost:5672`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.definition.endpoint.label()
    }

    /// Where a job is sent, for observers.
    #[must_use]
    pub fn target_of(&self, job: &Job<'_>) -> PushTarget {
        PushTarget::of(&self.definition, &Destination::of(job))
    }

    /// The name of the broker's dialect; before the first connection, the presumed one's.
    #[must_use]
    pub fn dialect(&self) -> &'static str {
        self.definition.dialect_name()
    }

    /// The number of the application's observer, zero if it has none.
    #[must_use]
    pub fn observer(&self) -> u64 {
        self.definition.options.observer
    }

    /// The number of the application's logger, zero if it has none.
    #[must_use]
    pub fn logger(&self) -> u64 {
        self.definition.options.logger
    }

    /// Pauses or resumes the queue. While it is paused, consumers request no jobs, and return those
    /// that no worker has seen, within [`crate::base::wait::SLICE`] of a wait in progress.
    pub fn set_paused(&self, paused: bool) {
        self.definition.set_paused(paused);
    }

    /// Whether consumers ignore the queue.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.definition.is_paused()
    }

    /// The configured deadline of blocking calls.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.definition.options.timeout
    }

    /// Pushes one job; returns its id once the broker has accepted it.
    ///
    /// # Errors
    /// For every outcome except `accepted`: Unroutable, Rejected, QueueNotFound, Unsupported;
    /// Connection and Authentication; Timeout if the outcome is unknown.
    pub fn push(&self, job: &Job<'_>, wait: &Wait<'_>) -> Result<String> {
        self.counted(wait, || self.push_one(job, wait))
    }

    /// Counts a push of one job.
    fn counted<T>(&self, wait: &Wait<'_>, push: impl FnOnce() -> Result<T>) -> Result<T> {
        let counters = self.definition.counters();
        counters.pushed.add(1);
        let pushed = push();
        match &pushed {
            Ok(_) => counters.confirmed.add(1),
            Err(error) => counters.failed(error),
        }
        counters.push_times.note(wait.elapsed());
        pushed
    }

    fn push_one(&self, job: &Job<'_>, wait: &Wait<'_>) -> Result<String> {
        job.check()?;
        let id = match &job.options.id {
            Some(id) => id.to_string(),
            None => id::job_id()?,
        };
        let mut publisher = Publisher::new(Arc::clone(&self.definition));
        let sent = publisher.send(job, &id, Destination::of(job), wait);
        sent.map_err(|error| match error.kind() {
            ErrorKind::Timeout => error.context(format!("job {id}")),
            _ => error,
        })?;
        match publisher.finish(wait)?.into_iter().next() {
            None => Ok(id),
            Some((_, error)) => Err(error.context(format!("job {id}"))),
        }
    }

    /// Starts a pipelined batch.
    #[must_use]
    pub fn batch(&self) -> Batch {
        Batch::new(Arc::clone(&self.definition))
    }

    /// Declares the queue, its exchange and its binding now.
    ///
    /// # Errors
    /// Config if an existing entity differs; Unsupported if the broker has no management.
    pub fn setup(&self, wait: &Wait<'_>) -> Result<()> {
        self.definition
            .look_after("setup()", wait, |companion, queue| {
                companion.setup(queue, wait)
            })
    }

    /// Removes all jobs that could be delivered now; returns how many.
    ///
    /// # Errors
    /// QueueNotFound; Unsupported if the broker has no management.
    pub fn purge(&self, wait: &Wait<'_>) -> Result<u64> {
        self.definition
            .look_after("purge()", wait, |companion, queue| {
                companion.purge(queue, wait)
            })
    }

    /// The number of jobs that could be delivered now.
    ///
    /// # Errors
    /// QueueNotFound; Unsupported if the broker has no management.
    pub fn count(&self, wait: &Wait<'_>) -> Result<u64> {
        self.definition
            .look_after("counting", wait, |companion, queue| {
                companion.count(queue, wait)
            })
    }

    /// Figures of the queue.
    ///
    /// # Errors
    /// QueueNotFound; Unsupported if the broker has no management.
    pub fn stats(&self, wait: &Wait<'_>) -> Result<QueueStats> {
        let definition = &self.definition;
        let found = definition.look_after("counting", wait, |companion, queue| {
            companion.figures(queue, wait)
        })?;
        let connected = definition.connect(definition.management_role(), wait)?;
        Ok(QueueStats::of(
            &found,
            BrokerInfo::of(&connected, &definition.options),
        ))
    }

    /// Pushes a job that must be delivered after `delay`; returns the number with which
    /// [`Queue::cancel`] cancels it.
    ///
    /// # Errors
    /// As [`Queue::push`]; Unsupported except on Service Bus.
    pub fn schedule(&self, job: &Job<'_>, delay: Duration, wait: &Wait<'_>) -> Result<String> {
        job.check()?;
        self.can_schedule("schedule()")?;
        let id = match &job.options.id {
            Some(id) => id.to_string(),
            None => id::job_id()?,
        };
        let definition = &self.definition;
        self.counted(wait, || {
            definition.look_after("schedule()", wait, |companion, queue| {
                companion.schedule(queue.spec, (job, &id), delay, wait)
            })
        })
    }

    /// Cancels a scheduled job; false if it is not there (any more), because it was delivered or
    /// cancelled before.
    ///
    /// # Errors
    /// Config if this is not a number from [`Queue::schedule`]; Unsupported except on Service Bus.
    pub fn cancel(&self, scheduled: &str, wait: &Wait<'_>) -> Result<bool> {
        let number: i64 = scheduled.parse().map_err(|_| {
            Error::config(
                "cancel(): expected the value that schedule() returned, a number as a string",
            )
        })?;
        self.can_schedule("cancel()")?;
        let definition = &self.definition;
        definition.look_after("cancel()", wait, |companion, queue| {
            companion.cancel(queue.spec, number, wait)
        })
    }

    /// Checked before connecting.
    fn can_schedule(&self, what: &str) -> Result<()> {
        match self.definition.presumed().schedules() {
            true => Ok(()),
            false => Err(cannot_schedule(what).context(self.definition.describe())),
        }
    }

    /// Measures one round trip to the broker.
    ///
    /// # Errors
    /// Connection, Authentication, Timeout.
    pub fn ping(&self, wait: &Wait<'_>) -> Result<Duration> {
        self.definition.surviving(&[Role::Publish], wait, || {
            let connected = self.definition.connect(Role::Publish, wait)?;
            let start = Instant::now();
            ping(&connected.connection, wait)?;
            Ok(start.elapsed())
        })
    }

    /// Information about the broker. Connects if necessary.
    ///
    /// # Errors
    /// Connection, Authentication, Timeout.
    pub fn broker(&self, wait: &Wait<'_>) -> Result<BrokerInfo> {
        let connected = self.definition.connect(Role::Publish, wait)?;
        Ok(BrokerInfo::of(&connected, &self.definition.options))
    }
}

impl Consumer {
    /// Creates a consumer of `queues`; it attaches on first use.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for an empty list, [`crate::ErrorKind::Unsupported`] for a
    /// session on a broker without sessions.
    pub fn new(queues: Vec<Queue>, options: ConsumerOptions) -> Result<Self> {
        let definitions = queues.into_iter().map(|queue| queue.definition);
        Self::of(definitions.collect(), options)
    }
}
