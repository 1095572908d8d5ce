//! `Amqp1\Consumer`.
#![allow(non_snake_case, reason = "parameters are PHP's named arguments")]

pub mod handed;
mod handed_out;
mod queues;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use amqp1_core::{ConsumerOptions, Queue, Wait};
use ext_php_rs::flags::ClassFlags;
use ext_php_rs::prelude::*;
use ext_php_rs::types::Zval;
use ext_php_rs::zend::ce;

use super::queue::parameters;
use super::task_iterator::TaskIterator;
use crate::call::{blocking, construct, ended_by_time_limit, run};
use crate::callbacks::lost::Listener;
use crate::callbacks::watchers::Watcher;
use crate::convert::args::{
    Int, Numbers, Omitted, OptionalCallable, OptionalSeconds, OptionalText, Options, Queues,
    NO_OPTIONS,
};
use crate::convert::{self, Bytes, Parameter};
use crate::engine::garbage::Holder;
use handed::Handed;
use handed_out::wait_timeout;
pub use handed_out::{default_timeout, hand_out, hand_out_one, next};

/// Receives jobs from one or more queues.
#[php_class]
#[php(name = "Amqp1\\Consumer")]
#[php(flags = ClassFlags::Final.union(ClassFlags::NoDynamicProperties))]
#[php(implements(ce = ce::aggregate, stub = "\\IteratorAggregate"))]
#[derive(Debug)]
pub struct Consumer {
    /// Cloned for each call: a signal handler may call `stop()` while one blocks.
    consumer: Rc<amqp1_core::Consumer>,
    /// Deadline of all calls except waits for a job.
    timeout: Duration,
    /// Called when jobs are lost.
    listener: RefCell<Option<Listener>>,
    /// Those of its queues.
    observers: Vec<Watcher>,
}

impl Holder for Consumer {
    fn held(&self, report: &mut dyn FnMut(&Zval)) {
        if let Ok(Some(listener)) = self.listener.try_borrow().as_deref() {
            listener.report(report);
        }
        for observer in &self.observers {
            report(observer.observer());
        }
    }
}

#[php_impl]
impl Consumer {
    /// Attaches on first use.
    #[php(defaults(options = Omitted))]
    pub fn __construct(queues: Queues<'_>, options: Options<'_>) -> PhpResult<Self> {
        const METHOD: &str = "Consumer::__construct()";
        construct(METHOD, || {
            let queues = queues::read(METHOD, queues.get())?;
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
            let observers = queues.iter().flat_map(Watcher::all_of).collect();
            let consumer = amqp1_core::Consumer::new(queues, options)
                .map_err(|error| error.context(METHOD))?;
            let consumer = Rc::new(consumer);
            let listener = RefCell::default();
            Ok(Self {
                consumer,
                timeout,
                listener,
                observers,
            })
        })
    }

    /// The next job; null if the timeout expires or after `stop()`.
    pub fn wait_task(&self, timeout: OptionalSeconds<'_>) -> PhpResult<Option<Handed>> {
        run(|| {
            let consumer = Rc::clone(&self.consumer);
            let timeout = wait_timeout("Consumer::waitTask()", 1, &consumer, timeout)?;
            next(&consumer, timeout)
        })
    }

    /// Up to `max` jobs: waits for the first, then adds those already available.
    pub fn wait_tasks(&self, max: Int<'_>, timeout: OptionalSeconds<'_>) -> PhpResult<Vec<Handed>> {
        const METHOD: &str = "Consumer::waitTasks()";
        run(|| {
            let consumer = Rc::clone(&self.consumer);
            let parameter = Parameter::of(METHOD, 1, "max", "int");
            let max = parameter.int(max.get(), 1..=i64::from(u32::MAX))?;
            let timeout = wait_timeout(METHOD, 2, &consumer, timeout)?;
            let max = usize::try_from(max).unwrap_or(usize::MAX);
            let since = handed::clock();
            let tasks = blocking(timeout, |wait| consumer.next_many(max, wait));
            let tasks = ended_by_time_limit(tasks, Vec::new())?;
            hand_out(tasks, since)
        })
    }

    /// Iterates over the jobs that `waitTask()` returns, until it returns null.
    pub fn get_iterator(&self) -> TaskIterator {
        TaskIterator::new(Rc::clone(&self.consumer), self.observers.clone())
    }

    /// Sets a callable that is called when jobs in progress may have been lost, while PHP works on
    /// them.
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
            // Outside the borrow: a destructor in the old listener may call this method.
            let old = self.listener.replace(listener);
            drop(old);
            Ok(())
        })
    }

    /// Requests no more jobs; buffered ones return to the broker.
    pub fn pause(&self) -> PhpResult<()> {
        run(|| Ok(self.consumer.pause()?))
    }

    /// Requests jobs again.
    pub fn resume(&self) -> PhpResult<()> {
        run(|| Ok(self.consumer.resume()?))
    }

    /// True between `pause()` and `resume()`.
    pub fn is_paused(&self) -> bool {
        self.consumer.is_paused()
    }

    /// Ends all current and future waits. For signal handlers.
    pub fn stop(&self) {
        self.consumer.stop();
    }

    /// Receives jobs that were set aside, by their sequence numbers.
    pub fn receive_deferred(&self, sequenceNumbers: Numbers<'_>) -> PhpResult<Vec<Handed>> {
        const METHOD: &str = "Consumer::receiveDeferred()";
        run(|| {
            let consumer = Rc::clone(&self.consumer);
            let numbers = parameters::numbers(METHOD, sequenceNumbers)?;
            let since = handed::clock();
            let jobs = blocking(self.timeout, |wait| {
                consumer.receive_deferred(&numbers, wait)
            })?;
            hand_out(jobs, since)
        })
    }

    /// The session that the consumer holds; null if there is none.
    pub fn get_session(&self) -> Option<String> {
        self.consumer.session()
    }

    /// The session's state; null if there is none.
    pub fn get_session_state(&self) -> PhpResult<Option<Bytes>> {
        run(|| {
            let consumer = Rc::clone(&self.consumer);
            let state = blocking(self.timeout, |wait| consumer.session_state(wait))?;
            Ok(state.map(Bytes::from))
        })
    }

    /// Sets the session's state, for the next consumer of the session.
    pub fn set_session_state(&self, state: OptionalText<'_>) -> PhpResult<()> {
        const STATE: Parameter =
            Parameter::of("Consumer::setSessionState()", 1, "state", "?string");
        run(|| {
            let consumer = Rc::clone(&self.consumer);
            // Any bytes are allowed, not only UTF-8.
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

    /// Returns buffered jobs and detaches.
    pub fn close(&self) -> PhpResult<()> {
        run(|| {
            let consumer = Rc::clone(&self.consumer);
            blocking(self.timeout, |wait| consumer.close(wait))
        })
    }
}
