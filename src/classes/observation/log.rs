//! `Amqp1\setLogger()`, and who logs: a queue's logger, the process's, or the log of php.ini.

use std::cell::Cell;

use amqp1_core::{Event, LogEntry};
use ext_php_rs::builders::FunctionBuilder;
use ext_php_rs::convert::{FromZval, IntoZval};
use ext_php_rs::flags::DataType;
use ext_php_rs::prelude::*;
use ext_php_rs::types::Zval;

use crate::call::run;
use crate::callbacks::{loggers, watchers};
use crate::convert;
use crate::convert::Parameter;
use crate::fail::Fail;
use crate::settings::ini;

thread_local! {
    /// Whether php.ini names a log.
    static HAS_LOG: Cell<bool> = const { Cell::new(false) };
}

/// Looks whether php.ini names a log.
pub fn begin_request() {
    let has_log = ini::log().is_some();
    let had_log = HAS_LOG.replace(has_log);
    watchers::want_events(usize::from(has_log), usize::from(had_log));
}

/// Logs an event.
///
/// # Errors
/// A logger called `exit()`, or ended in a fatal error.
pub fn log(event: &Event) -> Result<(), Fail> {
    let all = loggers::of_endpoint(&event.endpoint);
    if all.is_empty() {
        append_event(event);
        return Ok(());
    }
    loggers::log(&all, &LogEntry::of(event))
}

/// Writes an event to the log of php.ini, if there is one: once, even if several threads are told
/// of it.
pub fn append_event(event: &Event) {
    if HAS_LOG.get() && event.claim() {
        append(&LogEntry::of(event));
    }
}

/// Writes a message to the log of php.ini, if there is one.
fn append(entry: &LogEntry) {
    if !HAS_LOG.get() || entry.level < ini::log_level() {
        return;
    }
    if let Some(target) = ini::log() {
        entry.append(&target);
    }
}

/// Logs what an observer has thrown.
pub fn thrown(message: &str) {
    let entry = LogEntry::observer_has_thrown(message);
    let all = loggers::of_all();
    if all.is_empty() {
        append(&entry);
    } else {
        // The observer's caller goes on.
        let _ = loggers::log(&all, &entry);
    }
}

/// `?object`, as a parameter.
#[derive(Debug, Clone, Copy)]
pub struct OptionalLogger<'a>(Option<&'a Zval>);

impl<'a> FromZval<'a> for OptionalLogger<'a> {
    const TYPE: DataType = DataType::ANY_OBJECT;
    const NULLABLE: bool = true;

    fn from_zval(zval: &'a Zval) -> Option<Self> {
        Some(Self(Some(zval)))
    }

    fn from_missing() -> Option<Self> {
        Some(Self(None))
    }
}

/// `?object`, returned.
#[derive(Debug)]
pub struct Earlier(Option<Zval>);

impl IntoZval for Earlier {
    const TYPE: DataType = DataType::ANY_OBJECT;
    const NULLABLE: bool = true;

    fn set_zval(self, zval: &mut Zval, _: bool) -> ext_php_rs::error::Result<()> {
        *zval = self.0.unwrap_or_default();
        Ok(())
    }
}

/// [`set_logger`] for the module.
pub fn set_logger_function() -> FunctionBuilder<'static> {
    wrap_function!(set_logger)
}

/// [`get_logger`] for the module.
pub fn get_logger_function() -> FunctionBuilder<'static> {
    wrap_function!(get_logger)
}

/// The logger of this process.
#[php_function]
#[php(name = "Amqp1\\getLogger")]
pub fn get_logger() -> Earlier {
    Earlier(loggers::of_all().pop())
}

/// Sets the logger of this process; returns the one before.
#[php_function]
#[php(name = "Amqp1\\setLogger")]
pub fn set_logger(logger: OptionalLogger<'_>) -> PhpResult<Earlier> {
    const LOGGER: Parameter = Parameter::of("setLogger()", 1, "logger", "?object");
    run(|| {
        let given = logger.0.map(Zval::dereference);
        let given = given.filter(|given| !given.is_null());
        if let Some(given) = given {
            if !given.is_object() {
                return Err(LOGGER.wrong_type(Some(given)));
            }
            if !loggers::is_one(given) {
                return Err(convert::mismatch(&LOGGER, loggers::EXPECTED, given));
            }
        }
        Ok(Earlier(loggers::set(given)))
    })
}
