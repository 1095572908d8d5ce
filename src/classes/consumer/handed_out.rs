//! Jobs on their way to PHP.

use std::rc::Rc;
use std::time::Duration;

use amqp1_core::{Consumer, Delivery};

use crate::call::{blocking, ended_by_time_limit, FOR_EVER};
use crate::classes::task::Task;
use crate::convert::args::OptionalSeconds;
use crate::convert::Parameter;
use crate::engine::interrupts;
use crate::fail::Fail;

/// Waits for one job.
///
/// # Errors
/// What the core or a signal handler ended the wait with.
pub fn next(consumer: &Consumer, timeout: Duration) -> Result<Option<Task>, Fail> {
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

/// The timeout of a wait, the method's parameter `number`.
///
/// # Errors
/// One that is no number of seconds.
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
