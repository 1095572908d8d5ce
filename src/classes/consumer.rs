//! `Amqp1\Consumer`.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use amqp1_core::{ConsumerOptions, Delivery, Queue, Wait};
use ext_php_rs::flags::ClassFlags;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendClassObject, Zval};
use ext_php_rs::zend::ce;

use crate::call::blocking;
use crate::call::{construct, run};
use crate::callbacks::lost::Listener;
use crate::classes::jobs::Jobs;
use crate::classes::queue::AmqpQueue;
use crate::classes::task::Task;
use crate::classes::task_iterator::TaskIterator;
use crate::convert::args::{
    Int, Omitted, OptionalCallable, OptionalSeconds, OptionalText, Options, Queues, NO_OPTIONS,
};
use crate::convert::Bytes;
use crate::convert::{self, Parameter};
use crate::engine;
use crate::engine::garbage::Holder;
use crate::engine::table::entries;
use crate::fail::Fail;
use crate::settings::configuration;

/// Takes jobs from one or more queues.
#[php_class]
#[php(name = "Amqp1\\Consumer")]
#[php(flags = ClassFlags::Final.union(ClassFlags::NoDynamicProperties))]
#[php(implements(ce = ce::aggregate, stub = "\\IteratorAggregate"))]
#[derive(Debug)]
pub struct Consumer {
    /// Cloned for each call: a signal handler may call `stop()` while one blocks.
    consumer: Rc<amqp1_core::Consumer>,
    /// Deadline of the calls that are no wait for a job.
    timeout: Duration,
    /// Told of jobs that are lost.
    listener: RefCell<Option<Listener>>,
}

impl Holder for Consumer {
    fn held(&self) -> Option<*mut Zval> {
        self.listener.try_borrow().ok()?.as_ref()?.callable()
    }
}

/// What waits without a deadline waits this long: a century, as the core's `Wait`.
pub const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

#[php_impl]
impl Consumer {
    /// Attaches on first use.
    #[php(defaults(options = Omitted))]
    pub fn __construct(queues: Queues<'_>, options: Options<'_>) -> PhpResult<Self> {
        const METHOD: &str = "Consumer::__construct()";
        construct(METHOD, || {
            let queues = read_queues(METHOD, queues.get())?;
            let input = match options.get() {
                Some(options) => {
                    let parameter = Parameter::of(METHOD, 2, "options", "array");
                    parameter.array(options)?;
                    convert::input(options, &METHOD)?
                }
                None => NO_OPTIONS,
            };
            let options = ConsumerOptions::default().apply(METHOD, &input)?;
            let timeout = queues.iter().map(Queue::timeout).max().unwrap_or_default();
            let consumer = amqp1_core::Consumer::new(queues, options)
                .map_err(|error| error.context(METHOD))?;
            let consumer = Rc::new(consumer);
            let listener = RefCell::default();
            Ok(Self {
                consumer,
                timeout,
                listener,
            })
        })
    }

    /// The next job; null when the timeout passed or after `stop()`.
    pub fn wait_task(&self, timeout: OptionalSeconds<'_>) -> PhpResult<Option<Task>> {
        run(|| {
            let consumer = Rc::clone(&self.consumer);
            let timeout = wait_timeout("Consumer::waitTask()", 1, &consumer, timeout)?;
            next(&consumer, timeout)
        })
    }

    /// Up to `max` jobs: waits for the first, takes what is there of the others.
    pub fn wait_tasks(&self, max: Int<'_>, timeout: OptionalSeconds<'_>) -> PhpResult<Vec<Task>> {
        const METHOD: &str = "Consumer::waitTasks()";
        run(|| {
            let consumer = Rc::clone(&self.consumer);
            let parameter = Parameter::of(METHOD, 1, "max", "int");
            let max = parameter.int(max.get(), 1..=i64::from(u32::MAX))?;
            let timeout = wait_timeout(METHOD, 2, &consumer, timeout)?;
            let max = usize::try_from(max).unwrap_or(usize::MAX);
            let tasks = blocking(timeout, |wait| consumer.next_many(max, wait));
            let tasks = ended_by_time_limit(tasks, Vec::new())?;
            handed_out(&tasks)?;
            Ok(tasks.into_iter().map(Task::new).collect())
        })
    }

    /// Iterates over the jobs, as `waitTask()` gives them, until it gives null.
    pub fn get_iterator(&self) -> TaskIterator {
        TaskIterator::new(Rc::clone(&self.consumer))
    }

    /// Has a callable called when jobs in hand may have been lost, while PHP works on them.
    pub fn on_lost(&self, listener: OptionalCallable<'_>) -> PhpResult<()> {
        run(|| {
            let listener = match listener.get() {
                None => None,
                Some(callable) if callable.is_callable() => Some(Listener::new(callable)),
                Some(other) => {
                    let parameter = Parameter::of("Consumer::onLost()", 1, "listener", "?callable");
                    return Err(parameter.wrong_type(Some(other)));
                }
            };
            // Outside of the borrow: the destructor of what the old one held may call this.
            let old = self.listener.replace(listener);
            drop(old);
            Ok(())
        })
    }

    /// Asks for no more jobs; what is buffered goes back to the broker.
    pub fn pause(&self) -> PhpResult<()> {
        run(|| Ok(self.consumer.pause()?))
    }

    /// Asks for jobs again.
    pub fn resume(&self) -> PhpResult<()> {
        run(|| Ok(self.consumer.resume()?))
    }

    /// Between `pause()` and `resume()`.
    pub fn is_paused(&self) -> bool {
        self.consumer.is_paused()
    }

    /// Ends every wait, this one and those to come. For signal handlers.
    pub fn stop(&self) {
        self.consumer.stop();
    }

    /// The session that the consumer has; null when it has none.
    pub fn get_session(&self) -> Option<String> {
        self.consumer.session()
    }

    /// What was kept with the session; null when nothing is.
    pub fn get_session_state(&self) -> PhpResult<Option<Bytes>> {
        run(|| {
            let consumer = Rc::clone(&self.consumer);
            let state = blocking(self.timeout, |wait| consumer.session_state(wait))?;
            Ok(state.map(Bytes::from))
        })
    }

    /// Keeps something with the session, for whoever takes it next.
    pub fn set_session_state(&self, state: OptionalText<'_>) -> PhpResult<()> {
        const STATE: Parameter =
            Parameter::of("Consumer::setSessionState()", 1, "state", "?string");
        run(|| {
            let consumer = Rc::clone(&self.consumer);
            // Any bytes: not to be UTF-8.
            let state = match state.get() {
                None => None,
                Some(value) => match value.dereference().zend_str() {
                    Some(bytes) => Some(bytes.as_bytes().to_vec()),
                    None => Some(STATE.text(Some(value))?.into_owned().into_bytes()),
                },
            };
            let set = |wait: &Wait<'_>| consumer.set_session_state(state.as_deref(), wait);
            blocking(self.timeout, set)
        })
    }

    /// Gives back what is buffered and detaches.
    pub fn close(&self) -> PhpResult<()> {
        run(|| {
            let consumer = Rc::clone(&self.consumer);
            blocking(self.timeout, |wait| consumer.close(wait))
        })
    }
}

/// Waits for one job.
///
/// # Errors
/// What the core or a signal handler ended the wait with.
pub fn next(consumer: &amqp1_core::Consumer, timeout: Duration) -> Result<Option<Task>, Fail> {
    let delivery = blocking(timeout, |wait| consumer.next(wait));
    let delivery = ended_by_time_limit(delivery, None)?;
    handed_out(&delivery)?;
    Ok(delivery.map(Task::new))
}

/// Jobs are about to be PHP's: the last thing that a method does.
///
/// Before PHP 8.4 the engine loses what a method has returned when the handler of a signal
/// that came meanwhile throws: nobody would have the job, and nobody else get it. So
/// that handler runs here.
///
/// # Errors
/// What the handler ended with; the jobs are given back.
pub fn handed_out<'a>(jobs: impl IntoIterator<Item = &'a Rc<Delivery>>) -> Result<(), Fail> {
    if !engine::interrupt_requested() || engine::timed_out() {
        return Ok(());
    }
    let ended = engine::run_interrupt_handlers();
    if ended.is_err() {
        jobs.into_iter().for_each(|job| job.return_unseen());
    }
    ended
}

/// The time limit is raised by the VM as soon as the method returns: no exception before it.
///
/// # Errors
/// Every other failure of the call.
pub fn ended_by_time_limit<T>(result: Result<T, Fail>, nothing: T) -> Result<T, Fail> {
    match result {
        Err(fail) if fail.is_interruption() => Ok(nothing),
        other => other,
    }
}

/// The timeout of a wait without an argument.
pub fn default_timeout(consumer: &amqp1_core::Consumer) -> Duration {
    consumer.options().timeout.unwrap_or(FOR_EVER)
}

fn wait_timeout(
    method: &'static str,
    number: u32,
    consumer: &amqp1_core::Consumer,
    timeout: OptionalSeconds<'_>,
) -> Result<Duration, Fail> {
    let parameter = Parameter::of(method, number, "timeout", "?float");
    match timeout.get() {
        Some(timeout) => parameter.seconds(timeout),
        None => Ok(default_timeout(consumer)),
    }
}

fn read_queues(method: &'static str, queues: Option<&Zval>) -> Result<Vec<Queue>, Fail> {
    let in_call = |error: amqp1_core::Error| error.context(method);
    let Some(queues) = queues else {
        return Ok(configuration::load(method, None)?
            .consumed()
            .map_err(in_call)?);
    };
    if let Some(jobs) = Jobs::of(queues) {
        return Ok(jobs.consumed().map_err(in_call)?);
    }
    if let Some(queue) = as_queue(queues) {
        return Ok(vec![queue]);
    }
    let Some(list) = queues.array() else {
        let parameter = Parameter::of(
            method,
            1,
            "queues",
            "Amqp1\\AmqpQueue|Amqp1\\Jobs|array|null",
        );
        return Err(parameter.wrong_type(Some(queues)));
    };
    if list.is_empty() {
        return Err(Fail::config(format!(
            "{method}: no queues: pass an AmqpQueue, a list of them, or a Jobs"
        )));
    }
    entries(list)
        .enumerate()
        .map(|(at, (_, item))| {
            as_queue(item).ok_or_else(|| {
                convert::mismatch(&format_args!("{method}: queue #{at}"), "an AmqpQueue", item)
            })
        })
        .collect()
}

fn as_queue(value: &Zval) -> Option<Queue> {
    let object = value.dereference().object()?;
    Some(ZendClassObject::<AmqpQueue>::from_zend_obj(object)?.handle())
}
