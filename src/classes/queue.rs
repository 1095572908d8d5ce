//! `Amqp1\AmqpQueue`.
#![allow(non_snake_case, reason = "parameters are PHP's named arguments")]

mod figures;
pub(super) mod parameters;
mod push_many;
mod requests;

use std::time::Duration;

use amqp1_core::{Job, Queue, Wait};
use ext_php_rs::boxed::ZBox;
use ext_php_rs::flags::ClassFlags;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendClassObject, ZendHashTable, Zval};
use ext_php_rs::zend::ce;

use super::consumer::handed::{clock, Handed};
use super::consumer::{hand_out, hand_out_one};
use super::observation::pushes;
use super::peeked_task::PeekedTask;
use super::pending_reply::PendingReply;
use super::reply::Reply;
use crate::call::{blocking, construct, ended_by_time_limit, run, FOR_EVER};
use crate::callbacks::watchers::Watcher;
use crate::convert::args::{
    First, Ids, Jobs, Mixed, Most, Numbers, Omitted, OptionalInt, OptionalText, Options, Patience,
    Text, Value, When,
};
use crate::convert::Parameter;
use crate::engine::garbage::Holder;
use crate::fail::Fail;
use figures::{broker, integer};
pub use figures::{figures, no_figures};
use parameters::Given;

/// A named queue at a broker. Connects on first use.
#[php_class]
#[php(name = "Amqp1\\AmqpQueue")]
#[php(flags = ClassFlags::Final.union(ClassFlags::NoDynamicProperties))]
#[php(implements(ce = ce::countable, stub = "\\Countable"))]
#[derive(Debug)]
pub struct AmqpQueue {
    queue: Queue,
    /// Its observer and logger.
    watchers: Vec<Watcher>,
}

impl From<Queue> for AmqpQueue {
    fn from(queue: Queue) -> Self {
        let watchers = Watcher::all_of(&queue);
        Self { queue, watchers }
    }
}

impl Holder for AmqpQueue {
    fn held(&self, report: &mut dyn FnMut(&Zval)) {
        self.watchers
            .iter()
            .for_each(|observer| report(observer.observer()));
    }
}

impl AmqpQueue {
    /// The queue of an `AmqpQueue`; `None` for any other value.
    pub fn of(value: &Zval) -> Option<Queue> {
        let object = value.dereference().object()?;
        Some(ZendClassObject::<AmqpQueue>::from_zend_obj(object)?.handle())
    }

    /// A separate handle for the duration of a call: a signal handler may call any method of this
    /// object while another one blocks.
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
            let (queue, watchers) = parameters::open(METHOD, dsn, queue, options)?;
            Ok(Self { queue, watchers })
        })
    }

    /// Pushes one job. Returns its id once the broker has accepted it.
    #[php(defaults(options = Omitted))]
    pub fn push(
        &self,
        name: Text<'_>,
        payload: Mixed<'_>,
        options: Options<'_>,
    ) -> PhpResult<String> {
        const METHOD: &str = "AmqpQueue::push()";
        run(|| {
            let Given {
                name,
                body,
                options,
            } = Given::read(METHOD, name, payload.get(), 3, options)?;
            let mut job = Job {
                name,
                payload: body.payload(),
                options,
            };
            let queue = self.handle();
            let observed = pushes::begin("push", &queue, &mut job, None)?;
            let timeout = job.options.timeout.unwrap_or_else(|| queue.timeout());
            let pushed = blocking(timeout, |wait| queue.push(&job, wait));
            pushes::end(observed, &queue, &job, pushed)
        })
    }

    /// Pushes many jobs, pipelined. Returns their ids in the given order.
    #[php(defaults(options = Omitted))]
    pub fn push_many(&self, jobs: Jobs<'_>, options: Options<'_>) -> PhpResult<Vec<String>> {
        run(|| push_many::push_many(&self.handle(), jobs.get(), options.get()))
    }

    /// Pushes a job and waits for the reply of its worker.
    #[php(defaults(options = Omitted))]
    pub fn request(
        &self,
        name: Text<'_>,
        payload: Mixed<'_>,
        options: Options<'_>,
    ) -> PhpResult<Reply> {
        run(|| {
            let given = Given::read("AmqpQueue::request()", name, payload.get(), 3, options)?;
            requests::send(&self.handle(), given)?.wait()
        })
    }

    /// Pushes a job whose worker replies, and returns at once.
    #[php(defaults(options = Omitted))]
    pub fn request_async(
        &self,
        name: Text<'_>,
        payload: Mixed<'_>,
        options: Options<'_>,
    ) -> PhpResult<PendingReply> {
        run(|| {
            let method = "AmqpQueue::requestAsync()";
            let given = Given::read(method, name, payload.get(), 3, options)?;
            requests::send(&self.handle(), given)
        })
    }

    /// Schedules a job for later. Returns the number with which it can be cancelled.
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
            let delay = parameters::delay(METHOD, 3, delay)?;
            let given = Given::read(METHOD, name, payload.get(), 4, options)?;
            if given.options.delay.is_some() {
                return Err(Fail::config(format!(
                    "{METHOD}: option 'delay' is not allowed here, use the parameter $delay"
                )));
            }
            let Given {
                name,
                body,
                options,
            } = given;
            let mut job = Job {
                name,
                payload: body.payload(),
                options,
            };
            let queue = self.handle();
            let observed = pushes::begin("schedule", &queue, &mut job, None)?;
            let timeout = job.options.timeout.unwrap_or_else(|| queue.timeout());
            let pushed = blocking(timeout, |wait| queue.schedule(&job, delay, wait));
            pushes::end(observed, &queue, &job, pushed)
        })
    }

    /// Cancels a scheduled job; false if it is no longer there.
    pub fn cancel(&self, scheduled: Text<'_>) -> PhpResult<bool> {
        const SCHEDULED: Parameter = Parameter::of("AmqpQueue::cancel()", 1, "scheduled", "string");
        run(|| {
            let scheduled = SCHEDULED.text(scheduled.get())?;
            self.blocking(|queue, wait| queue.cancel(&scheduled, wait))
        })
    }

    /// The next job; null if there is none and none arrives in time.
    #[php(defaults(timeout = Omitted))]
    pub fn reserve(&self, timeout: Patience<'_>) -> PhpResult<Option<Handed>> {
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
            let since = clock();
            let job = blocking(timeout, |wait| queue.reserve(patience, wait));
            let job = ended_by_time_limit(job, None)?;
            hand_out_one(job, since)
        })
    }

    /// Receives jobs that were set aside, by their sequence numbers.
    pub fn receive_deferred(
        &self,
        sequenceNumbers: Numbers<'_>,
        session: OptionalText<'_>,
    ) -> PhpResult<Vec<Handed>> {
        const METHOD: &str = "AmqpQueue::receiveDeferred()";
        run(|| {
            let numbers = parameters::numbers(METHOD, sequenceNumbers)?;
            let session = parameters::session(METHOD, session)?;
            let session = session.as_deref();
            let since = clock();
            let jobs = self.blocking(|queue, wait| queue.receive_deferred(&numbers, session, wait));
            let jobs = jobs?;
            hand_out(jobs, since)
        })
    }

    /// Looks at jobs, which stay in the queue as they are.
    #[php(defaults(max = Omitted, from = Omitted))]
    pub fn peek(&self, max: Most<'_>, from: First<'_>) -> PhpResult<Vec<PeekedTask>> {
        const METHOD: &str = "AmqpQueue::peek()";
        run(|| {
            let (max, from) = parameters::look(METHOD, max, from)?;
            let peeked = self.blocking(|queue, wait| queue.peek(from, max, wait))?;
            Ok(peeked.into_iter().map(PeekedTask::from).collect())
        })
    }

    /// The failed queue.
    pub fn failed(&self) -> PhpResult<AmqpQueue> {
        run(|| {
            let queue = self.handle().failed()?;
            Ok(AmqpQueue::from(queue))
        })
    }

    /// Moves jobs back from the failed queue. Returns how many.
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
                Some(ids) => Some(parameters::ids(METHOD, 2, ids)?),
                None => None,
            };
            self.blocking(|queue, wait| queue.retry_failed(max, ids.as_deref(), wait))
                .map(integer)
        })
    }

    /// Declares the entities in the configuration.
    pub fn setup(&self) -> PhpResult<()> {
        run(|| self.blocking(Queue::setup))
    }

    /// Removes all ready jobs. Returns how many.
    pub fn purge(&self) -> PhpResult<i64> {
        run(|| self.blocking(Queue::purge).map(integer))
    }

    /// The number of ready jobs.
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

    /// Makes consumers ignore the queue.
    pub fn pause(&self) {
        self.queue.set_paused(true);
    }

    /// Makes consumers serve the queue again.
    pub fn resume(&self) {
        self.queue.set_paused(false);
    }

    /// True between `pause()` and `resume()`.
    pub fn is_paused(&self) -> bool {
        self.queue.is_paused()
    }

    /// The pipeline's name.
    pub fn get_name(&self) -> String {
        self.queue.name().to_owned()
    }

    /// Information about the broker. Connects if necessary.
    pub fn get_broker(&self) -> PhpResult<ZBox<ZendHashTable>> {
        run(|| self.blocking(Queue::broker).and_then(|info| broker(&info)))
    }
}
