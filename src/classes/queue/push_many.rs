//! `AmqpQueue::pushMany()`: an iterable of jobs, sent while it is traversed.

use std::fmt::Display;
use std::time::Duration;

use amqp1_core::suggest::unknown_option;
use amqp1_core::{Batch, BatchReport, Error, ErrorKind, Job, JobOptions, Queue, Wait};
use ext_php_rs::types::Zval;

use crate::call::PhpInterrupt;
use crate::classes::observation::many::PushedMany;
use crate::convert::job::{read_options, Body};
use crate::convert::{self, Parameter};
use crate::engine;
use crate::engine::table::{entries, Key};
use crate::engine::traverse::Traversal;
use crate::exceptions::BatchFailure;
use crate::fail::Fail;

const METHOD: &str = "AmqpQueue::pushMany()";
const ITEM: [&str; 3] = ["name", "payload", "options"];

/// Sends all `jobs`, waits for all outcomes, and returns the ids.
///
/// # Errors
/// [`Fail::Batch`] if some jobs failed. An exception of the iterable is thrown once the outcome of
/// all sent jobs is known.
pub fn push_many(
    queue: &Queue,
    jobs: Option<&Zval>,
    options: Option<&Zval>,
) -> Result<Vec<String>, Fail> {
    let mut defaults = JobOptions::default();
    if let Some(options) = options {
        read_options(OPTIONS.array(options)?, &METHOD, &mut defaults)?;
    }
    let timeout = defaults.timeout.unwrap_or_else(|| queue.timeout());
    let walk = match jobs {
        Some(jobs) => Traversal::open(jobs)?,
        None => None,
    };
    let mut walk = walk.ok_or_else(|| JOBS.wrong_type(jobs))?;

    let mut sender = Sender {
        batch: queue.batch(),
        interrupt: PhpInterrupt::default(),
        timeout,
        defaults,
        count: 0,
        observed: PushedMany::default(),
        queue,
    };
    let ended = sender.send_all(&mut walk);
    if matches!(ended, Err(Fail::Bailout)) {
        return Err(Fail::Bailout);
    }
    // An exception of the traversal or of its end waits until the outcome of all sent jobs is
    // known. In the meantime, PHP code runs as if there were none.
    let thrown = engine::stash_exception();
    let closed = walk.close();
    if matches!(closed, Err(Fail::Bailout)) {
        return Err(Fail::Bailout);
    }
    let thrown_at_end = engine::stash_exception();
    // A signal handler that throws or exits wants the call to end, but outcomes may not arrive for
    // as long as the broker is silent.
    let report = if ended.is_err() && sender.interrupt.has_ended_a_wait() {
        sender.observed.end(queue, Err(Fail::Pending))
    } else {
        sender.finish()
    };
    if matches!(report, Err(Fail::Bailout)) {
        return Err(Fail::Bailout);
    }
    thrown_at_end.restore();
    thrown.restore();
    if engine::has_exception() {
        return Err(Fail::Pending);
    }
    ended?;
    let report = report?;
    if report.failures.is_empty() {
        return Ok(report.ids);
    }
    Err(Fail::Batch(BatchFailure {
        ids: report.ids,
        failures: report.failures,
    }))
}

const JOBS: Parameter = Parameter::of(METHOD, 1, "jobs", "Traversable|array");
const OPTIONS: Parameter = Parameter::of(METHOD, 2, "options", "array");

/// A batch in progress.
struct Sender<'a> {
    batch: Batch,
    interrupt: PhpInterrupt,
    /// Applies to each step: a generator may run longer than any deadline.
    timeout: Duration,
    defaults: JobOptions<'a>,
    count: usize,
    observed: PushedMany,
    queue: &'a Queue,
}

impl Sender<'_> {
    fn send_all(&mut self, walk: &mut Traversal<'_>) -> Result<(), Fail> {
        while let Some(item) = walk.next()? {
            let at = self.count;
            self.count += 1;
            match self.send(at, &item) {
                Ok(()) => {}
                Err(Fail::Core(error)) if is_about_the_item(&error) => self.batch.add_failed(error),
                Err(fail) => return Err(fail),
            }
        }
        Ok(())
    }

    fn send(&mut self, at: usize, item: &Zval) -> Result<(), Fail> {
        let label = Label(at);
        let (mut name, mut payload, mut options) = (None, None, None);
        let Some(array) = item.array() else {
            let expected = "an array with 'name', 'payload' and 'options'";
            return Err(convert::mismatch(&label, expected, item));
        };
        for (key, value) in entries(array) {
            let key = match key {
                Key::Name(key) => key,
                Key::Index(_) => {
                    let expected = "an array with 'name', 'payload' and 'options'";
                    return Err(Fail::config(format!(
                        "{label}: expected {expected}, got a list"
                    )));
                }
            };
            match key.as_bytes() {
                b"name" => name = Some(value),
                b"payload" => payload = Some(value),
                b"options" => options = Some(value).filter(|value| !value.dereference().is_null()),
                _ => {
                    let key = key.as_str().unwrap_or("\u{fffd}");
                    return Err(Fail::config(unknown_option(&label.to_string(), key, &ITEM)));
                }
            }
        }
        let Some(name) = name else {
            return Err(Fail::config(format!("{label}: 'name' is missing")));
        };
        let mut job_options = self.defaults.clone();
        if let Some(options) = options {
            let Some(table) = options.array() else {
                return Err(convert::mismatch(
                    &format_args!("{label}: 'options'"),
                    "an array",
                    options,
                ));
            };
            read_options(table, &label, &mut job_options)?;
        }
        let body = Body::read(payload, &label)?;
        let mut job = Job {
            name: convert::not_empty(name, &format_args!("{label}: 'name'"))?,
            payload: body.payload(),
            options: job_options,
        };
        self.observed.begin(self.queue, &mut job, at)?;
        let wait = Wait::new(self.timeout, &self.interrupt);
        let added = self.batch.add(&job, &wait);
        self.observed.go_on(self.queue, &self.batch)?;
        added.map_err(|error| match self.interrupt.fail(error) {
            // The error does not concern this item, even if its kind suggests so.
            Fail::Core(error) if is_about_the_item(&error) => {
                Fail::Core(Error::new(ErrorKind::Interrupted, error.message()))
            }
            fail => fail,
        })
    }

    fn finish(self) -> Result<BatchReport, Fail> {
        let Self {
            batch,
            interrupt,
            timeout,
            observed,
            queue,
            ..
        } = self;
        let report = batch.finish(&Wait::new(timeout, &interrupt));
        let report = report.map_err(|error| interrupt.fail(error));
        observed.end(queue, report)
    }
}

/// Whether only this job is invalid; then it fails alone and the others continue.
fn is_about_the_item(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Config | ErrorKind::Serialization)
}

/// `AmqpQueue::pushMany(): job #3`.
struct Label(usize);

impl Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{METHOD}: job #{}", self.0)
    }
}
