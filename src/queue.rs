//! `Amqp1\AmqpQueue`.

use std::borrow::Cow;
use std::time::Duration;

use amqp1_core::queue::{BrokerInfo, QueueStats};
use amqp1_core::{Job, JobOptions, Queue, QueueOptions, Wait};
use ext_php_rs::boxed::ZBox;
use ext_php_rs::flags::ClassFlags;
use ext_php_rs::prelude::*;
use ext_php_rs::types::ZendHashTable;
use ext_php_rs::zend::ce;

use crate::args::{
    Ids, Jobs, Mixed, Omitted, OptionalInt, OptionalText, Options, Patience, Text, Value, When,
    NO_OPTIONS,
};
use crate::boundary::{construct, run, Fail};
use crate::consumer::{ended_by_time_limit, handed_out, FOR_EVER};
use crate::convert::{self, Parameter};
use crate::interrupt::blocking;
use crate::job::{read_options, Body};
use crate::table::entries;
use crate::task::Task;
use crate::{ini, push_many, token};

/// A named queue at a broker. Connects on first use.
#[php_class]
#[php(name = "Amqp1\\AmqpQueue")]
#[php(flags = ClassFlags::Final.union(ClassFlags::NoDynamicProperties))]
#[php(implements(ce = ce::countable, stub = "\\Countable"))]
#[derive(Debug)]
pub struct AmqpQueue {
    queue: Queue,
}

impl From<Queue> for AmqpQueue {
    fn from(queue: Queue) -> Self {
        Self { queue }
    }
}

impl AmqpQueue {
    /// A handle of its own for the length of a call: a signal handler may call
    /// any method of this object while another one blocks.
    pub fn handle(&self) -> Queue {
        self.queue.clone()
    }

    fn blocking<T>(
        &self,
        call: impl FnOnce(&Queue, &Wait<'_>) -> amqp1_core::Result<T>,
    ) -> Result<T, Fail> {
        let queue = self.handle();
        blocking(queue.timeout(), |wait| call(&queue, wait))
    }
}

const PUSH: &str = "AmqpQueue::push()";

/// The name of a job, a method's first parameter.
fn job_name<'a>(method: &'static str, given: Text<'a>) -> Result<Cow<'a, str>, Fail> {
    let name = Parameter::of(method, 1, "name", "string").text(given.get())?;
    if name.is_empty() {
        return Err(Fail::config(format!(
            "{method}: the job's name must not be empty"
        )));
    }
    Ok(name)
}

#[php_impl]
impl AmqpQueue {
    /// Checks everything that can be checked without the network.
    #[php(defaults(options = Omitted))]
    pub fn __construct(
        dsn: Text<'_>,
        queue: OptionalText<'_>,
        options: Options<'_>,
    ) -> PhpResult<Self> {
        const METHOD: &str = "AmqpQueue::__construct()";
        construct(METHOD, || {
            let dsn = Parameter::of(METHOD, 1, "dsn", "string").text(dsn.get())?;
            let queue = match queue.get() {
                Some(queue) => {
                    Some(Parameter::of(METHOD, 2, "queue", "?string").text(Some(queue))?)
                }
                None => None,
            };
            let mut token = None;
            let input = match options.get() {
                Some(options) => {
                    let array = Parameter::of(METHOD, 3, "options", "array").array(options)?;
                    if let Some(given) = array.get(token::OPTION) {
                        token = token::read(given, METHOD)?;
                    }
                    let read = token.as_ref().map(|_| token::OPTION);
                    convert::input_without(options, &METHOD, read)?
                }
                None => NO_OPTIONS,
            };
            let defaults = default_options();
            let in_call = |error: amqp1_core::Error| error.context(METHOD);
            let defaults = Queue::options_of(&dsn, defaults).map_err(in_call)?;
            let mut options = defaults.apply(METHOD, &input)?;
            options.token = token.or(options.token);
            let queue = Queue::new(&dsn, queue.as_deref(), options).map_err(in_call)?;
            Ok(Self { queue })
        })
    }

    /// Pushes one job; its id, when the broker has taken it.
    #[php(defaults(options = Omitted))]
    pub fn push(
        &self,
        name: Text<'_>,
        payload: Mixed<'_>,
        options: Options<'_>,
    ) -> PhpResult<String> {
        run(|| {
            let name = job_name(PUSH, name)?;
            let mut job_options = JobOptions::default();
            if let Some(options) = options.get() {
                let parameter = Parameter::of(PUSH, 3, "options", "array");
                read_options(parameter.array(options)?, &PUSH, &mut job_options)?;
            }
            let body = Body::read(payload.get(), &PUSH)?;
            let job = Job {
                name,
                payload: body.payload(),
                options: job_options,
            };
            let queue = self.handle();
            let timeout = job.options.timeout.unwrap_or_else(|| queue.timeout());
            blocking(timeout, |wait| queue.push(&job, wait))
        })
    }

    /// Pushes many jobs, pipelined; their ids in the order given.
    #[php(defaults(options = Omitted))]
    pub fn push_many(&self, jobs: Jobs<'_>, options: Options<'_>) -> PhpResult<Vec<String>> {
        run(|| push_many::push_many(&self.handle(), jobs.get(), options.get()))
    }

    /// Pushes a job for later; the number by which it can be cancelled.
    #[php(defaults(options = Omitted))]
    pub fn schedule(
        &self,
        name: Text<'_>,
        payload: Value<'_>,
        delay: When<'_>,
        options: Options<'_>,
    ) -> PhpResult<String> {
        const METHOD: &str = "AmqpQueue::schedule()";
        run(|| {
            let name = job_name(METHOD, name)?;
            let when = Parameter::of(METHOD, 3, "delay", "DateTimeInterface|int|float");
            let delay = match delay.get() {
                Some(delay) if delay.is_object() || delay.is_scalar() => {
                    convert::delay(delay, &when)?
                }
                other => return Err(when.wrong_type(other)),
            };
            let mut job_options = JobOptions::default();
            if let Some(options) = options.get() {
                let array = Parameter::of(METHOD, 4, "options", "array").array(options)?;
                read_options(array, &METHOD, &mut job_options)?;
            }
            if job_options.delay.is_some() {
                return Err(Fail::config(format!(
                    "{METHOD}: option 'delay': the delay is a parameter here"
                )));
            }
            let body = Body::read(payload.get(), &METHOD)?;
            let job = Job {
                name,
                payload: body.payload(),
                options: job_options,
            };
            let queue = self.handle();
            let timeout = job.options.timeout.unwrap_or_else(|| queue.timeout());
            blocking(timeout, |wait| queue.schedule(&job, delay, wait))
        })
    }

    /// Takes a scheduled job back; false when it is not there any more.
    pub fn cancel(&self, scheduled: Text<'_>) -> PhpResult<bool> {
        const SCHEDULED: Parameter = Parameter::of("AmqpQueue::cancel()", 1, "scheduled", "string");
        run(|| {
            let scheduled = SCHEDULED.text(scheduled.get())?;
            self.blocking(|queue, wait| queue.cancel(&scheduled, wait))
        })
    }

    /// The next job; null when there is none, and none comes in time.
    #[php(defaults(timeout = Omitted))]
    pub fn reserve(&self, timeout: Patience<'_>) -> PhpResult<Option<Task>> {
        const METHOD: &str = "AmqpQueue::reserve()";
        run(|| {
            let patience = match timeout.get() {
                None => Duration::ZERO,
                Some(timeout) if timeout.is_null() => Duration::MAX,
                Some(timeout) => Parameter::of(METHOD, 1, "timeout", "?float").seconds(timeout)?,
            };
            let queue = self.handle();
            let timeout = patience.saturating_add(queue.timeout());
            let patience = patience.min(FOR_EVER);
            let job = blocking(timeout, |wait| queue.reserve(patience, wait));
            let job = ended_by_time_limit(job, None)?;
            handed_out(&job)?;
            Ok(job.map(Task::new))
        })
    }

    /// The failed queue.
    pub fn failed(&self) -> PhpResult<AmqpQueue> {
        run(|| {
            let queue = self.handle().failed()?;
            Ok(AmqpQueue { queue })
        })
    }

    /// Moves jobs from the failed queue back; how many there were.
    pub fn retry_failed(&self, max: OptionalInt<'_>, ids: Ids<'_>) -> PhpResult<i64> {
        const METHOD: &str = "AmqpQueue::retryFailed()";
        run(|| {
            let max = match max.get() {
                Some(max) => {
                    let max =
                        Parameter::of(METHOD, 1, "max", "?int").int(Some(max), 0..=i64::MAX)?;
                    Some(max.unsigned_abs())
                }
                None => None,
            };
            let ids = match ids.get() {
                Some(ids) => entries(Parameter::of(METHOD, 2, "ids", "?array").array(ids)?)
                    .enumerate()
                    .map(|(at, (_, id))| {
                        let path = format_args!("{METHOD}: id #{at}").to_string();
                        let id = convert::bytes(id, &path)?;
                        if id.is_empty() {
                            return Err(Fail::config(format!("{path}: must not be empty")));
                        }
                        Ok(Some(id.as_ref().into()))
                    })
                    .collect::<Result<Option<Vec<_>>, Fail>>()?,
                None => None,
            };
            self.blocking(|queue, wait| queue.retry_failed(max, ids.as_deref(), wait))
                .map(integer)
        })
    }

    /// Declares what the configuration names.
    pub fn setup(&self) -> PhpResult<()> {
        run(|| self.blocking(Queue::setup))
    }

    /// Removes the jobs that are ready; how many there were.
    pub fn purge(&self) -> PhpResult<i64> {
        run(|| self.blocking(Queue::purge).map(integer))
    }

    /// Jobs that are ready.
    pub fn count(&self) -> PhpResult<i64> {
        run(|| self.blocking(Queue::count).map(integer))
    }

    /// Figures of the queue.
    pub fn stats(&self) -> PhpResult<ZBox<ZendHashTable>> {
        run(|| {
            self.blocking(Queue::stats)
                .and_then(|stats| figures(&stats))
        })
    }

    /// A round trip to the broker, in seconds.
    pub fn ping(&self) -> PhpResult<f64> {
        run(|| self.blocking(Queue::ping).map(|time| time.as_secs_f64()))
    }

    /// The pipeline's name.
    pub fn get_name(&self) -> String {
        self.queue.name().to_owned()
    }

    /// Who is at the other end. Connects.
    pub fn get_broker(&self) -> PhpResult<ZBox<ZendHashTable>> {
        run(|| self.blocking(Queue::broker).and_then(|info| broker(&info)))
    }
}

/// The options of a queue that nothing is said of.
pub fn default_options() -> QueueOptions {
    QueueOptions {
        timeout: ini::timeout(),
        ..QueueOptions::default()
    }
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The figures as PHP's array.
///
/// # Errors
/// When PHP does not take them.
pub fn figures(stats: &QueueStats) -> Result<ZBox<ZendHashTable>, Fail> {
    let mut array = ZendHashTable::new();
    let counts = [
        ("active", Some(stats.active)),
        ("delayed", stats.delayed),
        ("ready", Some(stats.ready)),
        ("reserved", stats.reserved),
        ("consumers", stats.consumers),
    ];
    for (name, count) in counts {
        array.insert(name, count.map(integer)).map_err(internal)?;
    }
    array
        .insert("broker", broker(&stats.broker)?)
        .map_err(internal)?;
    Ok(array)
}

fn broker(info: &BrokerInfo) -> Result<ZBox<ZendHashTable>, Fail> {
    let mut array = ZendHashTable::new();
    let fields = [
        ("dialect", &info.dialect),
        ("product", &info.product),
        ("version", &info.version),
    ];
    for (name, value) in fields {
        array.insert(name, value.as_str()).map_err(internal)?;
    }
    Ok(array)
}

/// A value of ours that PHP does not take: nothing a caller can do about it.
pub fn internal(error: ext_php_rs::error::Error) -> Fail {
    Fail::Core(amqp1_core::Error::serialization(error.to_string()))
}
