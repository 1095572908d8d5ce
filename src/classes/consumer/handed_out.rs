//! Hands jobs over to PHP.

use std::rc::Rc;
use std::time::{Duration, Instant};

use amqp1_core::{Consumer, Delivery};

use crate::call::{blocking, ended_by_time_limit, FOR_EVER};
use crate::classes::consumer::handed::{clock, received, Handed};
use crate::classes::task::Task;
use crate::convert::args::OptionalSeconds;
use crate::convert::Parameter;
use crate::engine::interrupts;
use crate::fail::Fail;

/// Waits for one job.
///
/// # Errors
/// The error with which the core or a signal handler ended the wait.
pub fn next(consumer: &Consumer, timeout: Duration) -> Result<Option<Handed>, Fail> {
    let since = clock();
    let delivery = blocking(timeout, |wait| consumer.next(wait));
    let delivery = ended_by_time_limit(delivery, None)?;
    hand_out_one(delivery, since)
}

/// Hands one job over to PHP. It must be the last action of a method.
///
/// # Errors
/// As [`hand_out`].
pub fn hand_out_one(
    delivery: Option<Rc<Delivery>>,
    since: Option<Instant>,
) -> Result<Option<Handed>, Fail> {
    if since.is_some() {
        let deliveries = delivery.into_iter().collect();
        return Ok(hand_out(deliveries, since)?.pop());
    }
    handed_out(&delivery)?;
    Ok(delivery.map(|delivery| Handed::New(Task::new(delivery))))
}

/// Tells the observers, if the wait began at `since`, and hands jobs over to PHP. It must be the
/// last action of a method.
///
/// # Errors
/// As [`handed_out`], or from an observer that ended the script; the jobs are returned then.
pub fn hand_out(
    deliveries: Vec<Rc<Delivery>>,
    since: Option<Instant>,
) -> Result<Vec<Handed>, Fail> {
    let tasks = received(deliveries.clone(), since)?;
    handed_out(&deliveries)?;
    Ok(tasks)
}

/// Hands jobs over to PHP. It must be the last action of a method.
///
/// Before PHP 8.4, the engine discards a method's return value if the handler of a signal that
/// arrived in the meantime throws. Then no one would have the job, and no other consumer would get
/// it. Therefore the handlers run here.
///
/// # Errors
/// The error from a handler; the jobs are returned then.
fn handed_out<'a>(jobs: impl IntoIterator<Item = &'a Rc<Delivery>>) -> Result<(), Fail> {
    if !interrupts::requested() || interrupts::timed_out() {
        return Ok(());
    }
    let ended = interrupts::run_handlers();
    if ended.is_err() {
        jobs.into_iter().for_each(|job| job.return_unseen());
    }
    ended
}

/// The timeout of a wait without an argument.
pub fn default_timeout(consumer: &Consumer) -> Duration {
    consumer.options().timeout.unwrap_or(FOR_EVER)
}

/// Reads the timeout of a wait; `number` is its position among the method's parameters.
///
/// # Errors
/// A value that is not a number of seconds.
pub fn wait_timeout(
    method: &'static str,
    number: u32,
    consumer: &Consumer,
    timeout: OptionalSeconds<'_>,
) -> Result<Duration, Fail> {
    let parameter = Parameter::of(method, number, "timeout", "?float");
    match timeout.get() {
        Some(timeout) => parameter.seconds(timeout),
        None => Ok(default_timeout(consumer)),
    }
}
