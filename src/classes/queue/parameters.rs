//! Reads the parameters of a queue's methods.

use std::borrow::Cow;
use std::time::Duration;

use amqp1_core::{BString, Error, JobOptions, Queue};
use ext_php_rs::types::Zval;

use crate::callbacks::loggers;
use crate::callbacks::observers;
use crate::callbacks::token;
use crate::callbacks::watchers::{Kind, Watcher};
use crate::classes::observation::observer;
use crate::convert::args::{First, Most, Numbers, OptionalText, Options, Text, When, NO_OPTIONS};
use crate::convert::job::{read_options, Body};
use crate::convert::{self, Parameter};
use crate::engine::table::entries;
use crate::fail::Fail;
use crate::settings::default_options;

/// Opens the queue that a constructor's parameters describe.
///
/// # Errors
/// An invalid DSN, name or option.
pub fn open(
    method: &'static str,
    dsn: Text<'_>,
    queue: OptionalText<'_>,
    options: Options<'_>,
) -> Result<(Queue, Vec<Watcher>), Fail> {
    let dsn = Parameter::of(method, 1, "dsn", "string").text(dsn.get())?;
    let queue = match queue.get() {
        Some(queue) => Some(Parameter::of(method, 2, "queue", "?string").text(Some(queue))?),
        None => None,
    };
    let (mut token, mut observer, mut logger) = (None, None, None);
    let input = match options.get() {
        Some(options) => {
            let array = Parameter::of(method, 3, "options", "array").array(options)?;
            if let Some(given) = array.get(token::OPTION) {
                token = token::read(given, method)?;
            }
            if let Some(given) = array.get(observers::OPTION) {
                observer = self::observer(given, method)?;
            }
            if let Some(given) = array.get(loggers::OPTION) {
                logger = self::logger(given, method)?;
            }
            let token = token.as_ref().map(|_| token::OPTION);
            let observer = observer.map(|_| observers::OPTION);
            let read = [token, observer, logger.map(|_| loggers::OPTION)];
            convert::input_without(options, &method, &read)?
        }
        None => NO_OPTIONS,
    };
    let in_call = |error: amqp1_core::Error| error.context(method);
    let defaults = Queue::options_of(&dsn, default_options()).map_err(in_call)?;
    let mut options = defaults.apply(method, &input)?;
    options.token = token.or(options.token);
    // Its endpoint is known only then.
    let observer = observer.map(|given| Watcher::new(Kind::Observer, given));
    options.observer = observer.as_ref().map_or(0, Watcher::number);
    let logger = logger.map(|given| Watcher::new(Kind::Logger, given));
    options.logger = logger.as_ref().map_or(0, Watcher::number);
    let queue = Queue::new(&dsn, queue.as_deref(), options).map_err(in_call)?;
    let watchers: Vec<Watcher> = observer.into_iter().chain(logger).collect();
    for watcher in &watchers {
        watcher.watches(queue.endpoint());
    }
    Ok((queue, watchers))
}

/// Reads the option `logger`; `None` for null.
fn logger<'a>(value: &'a Zval, method: &'static str) -> Result<Option<&'a Zval>, Fail> {
    let value = value.dereference();
    if value.is_null() {
        return Ok(None);
    }
    if !loggers::is_one(value) {
        let path = format_args!("{method}: option '{}'", loggers::OPTION).to_string();
        return Err(convert::mismatch(&path, loggers::EXPECTED, value));
    }
    Ok(Some(value))
}

/// Reads the option `observer`; `None` for null.
fn observer<'a>(value: &'a Zval, method: &'static str) -> Result<Option<&'a Zval>, Fail> {
    let value = value.dereference();
    if value.is_null() {
        return Ok(None);
    }
    if !observer::is_one(value) {
        let path = format_args!("{method}: option '{}'", observers::OPTION).to_string();
        return Err(convert::mismatch(&path, "an Amqp1\\Observer", value));
    }
    Ok(Some(value))
}

/// A job to be pushed.
pub struct Given<'a> {
    pub name: Cow<'a, str>,
    pub body: Body<'a>,
    pub options: JobOptions<'a>,
}

impl<'a> Given<'a> {
    /// Reads the job of a method whose first parameter is its name. May run `jsonSerialize()`.
    ///
    /// # Errors
    /// An invalid job, or the exception of `jsonSerialize()`.
    pub fn read(
        method: &'static str,
        name: Text<'a>,
        payload: Option<&'a Zval>,
        options_number: u32,
        options: Options<'a>,
    ) -> Result<Self, Fail> {
        let name = Parameter::of(method, 1, "name", "string").text(name.get())?;
        if name.is_empty() {
            return Err(Fail::config(format!(
                "{method}: the job's name must not be empty"
            )));
        }
        let mut job_options = JobOptions::default();
        if let Some(options) = options.get() {
            let parameter = Parameter::of(method, options_number, "options", "array");
            read_options(parameter.array(options)?, &method, &mut job_options)?;
        }
        Ok(Self {
            name,
            body: Body::read(payload, &method)?,
            options: job_options,
        })
    }
}

/// Reads a delay: seconds, or a date.
///
/// # Errors
/// Any other value.
pub fn delay(method: &'static str, number: u32, delay: When<'_>) -> Result<Duration, Fail> {
    let parameter = Parameter::of(method, number, "delay", "DateTimeInterface|int|float");
    match delay.get() {
        Some(delay) if delay.is_object() || delay.is_scalar() => convert::delay(delay, &parameter),
        other => Err(parameter.wrong_type(other)),
    }
}

/// Reads the ids of jobs.
///
/// # Errors
/// An id that is empty or not a string.
pub fn ids(method: &'static str, number: u32, ids: &Zval) -> Result<Vec<BString>, Fail> {
    let ids = Parameter::of(method, number, "ids", "?array").array(ids)?;
    let ids = entries(ids).enumerate().map(|(at, (_, id))| {
        let path = format_args!("{method}: id #{at}").to_string();
        let id = convert::bytes(id, &path)?;
        if id.is_empty() {
            return Err(Fail::config(format!("{path}: must not be empty")));
        }
        Ok(id.as_ref().into())
    });
    ids.collect()
}

/// Reads one sequence number, or a list of them.
///
/// # Errors
/// Any other value.
pub fn numbers(method: &'static str, numbers: Numbers<'_>) -> Result<Vec<i64>, Fail> {
    let parameter = Parameter::of(method, 1, "sequenceNumbers", "array|int");
    let Some(table) = numbers.get().and_then(|value| value.array()) else {
        return Ok(vec![parameter.int(numbers.get(), 0..=i64::MAX)?]);
    };
    let numbers = entries(table).enumerate().map(|(at, (_, number))| {
        convert::int(
            number,
            0..=i64::MAX,
            &format_args!("{method}: sequence number #{at}"),
        )
    });
    numbers.collect()
}

/// Reads the id of a session.
///
/// # Errors
/// A value that is not a session's id.
pub fn session(method: &'static str, session: OptionalText<'_>) -> Result<Option<String>, Fail> {
    let Some(session) = session.get().filter(|session| !session.is_null()) else {
        return Ok(None);
    };
    let session = Parameter::of(method, 2, "session", "?string").text(Some(session))?;
    match session.len() {
        1..=128 => Ok(Some(session.into_owned())),
        _ => Err(Fail::Core(Error::config(format!(
            "{method}: parameter $session must be 1 to 128 bytes long"
        )))),
    }
}

/// The most jobs that one look returns: their messages are in memory together.
const MOST: i64 = 10_000;

/// Reads how many jobs to look at, and from which number on.
///
/// # Errors
/// A value that is not an int, or not in its range.
pub fn look(method: &'static str, max: Most<'_>, from: First<'_>) -> Result<(u32, i64), Fail> {
    let max = match max.get() {
        Some(max) => Parameter::of(method, 1, "max", "int").int(Some(max), 1..=MOST)?,
        None => 10,
    };
    let from = match from.get() {
        Some(from) => Parameter::of(method, 2, "from", "int").int(Some(from), 0..=i64::MAX)?,
        None => 0,
    };
    Ok((u32::try_from(max).unwrap_or(u32::MAX), from))
}
