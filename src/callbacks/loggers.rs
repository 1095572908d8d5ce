//! The application's PSR-3 loggers: of the process, and of queues by their option `logger`.
//!
//! `psr/log` need not be there: a logger is an object with a method `log()`.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::sync::OnceLock;

use amqp1_core::LogEntry;
use ext_php_rs::types::{ZendCallable, ZendHashTable, Zval};

use super::watchers::{self, Kind};
use crate::engine::{self, guarded, json};
use crate::fail::Fail;

/// The option's name.
pub const OPTION: &str = "logger";
/// What it must be, for messages.
pub const EXPECTED: &str = "a PSR-3 logger (an object with a method log())";

thread_local! {
    /// The process's logger. Released when the request ends.
    static OF_ALL: RefCell<Option<ManuallyDrop<Zval>>> = const { RefCell::new(None) };
}

static ON_THROWN: OnceLock<fn(&str)> = OnceLock::new();

/// Sets the listener for exceptions of observers.
pub fn log_thrown_with(log: fn(&str)) {
    let _ = ON_THROWN.set(log);
}

/// An observer has thrown.
pub(super) fn on_thrown(message: &str) {
    if let Some(log) = ON_THROWN.get() {
        log(message);
    }
}

/// Whether a value is a logger.
pub fn is_one(value: &Zval) -> bool {
    value.is_object() && method_of(value).is_some_and(|method| method.is_callable())
}

/// `[$logger, 'log']`.
fn method_of(logger: &Zval) -> Option<Zval> {
    let mut pair = ZendHashTable::new();
    pair.push(logger.shallow_clone()).ok()?;
    pair.push("log").ok()?;
    let mut method = Zval::new();
    method.set_hashtable(pair);
    Some(method)
}

/// Sets the process's logger; returns the one before.
pub fn set(logger: Option<&Zval>) -> Option<Zval> {
    let new = logger.map(|logger| ManuallyDrop::new(logger.shallow_clone()));
    let added = usize::from(new.is_some());
    let old = OF_ALL.replace(new);
    watchers::want_events(added, usize::from(old.is_some()));
    old.map(ManuallyDrop::into_inner)
}

/// The loggers of an endpoint's connections: those of its queues, or else the process's.
pub fn of_endpoint(endpoint: &str) -> Vec<Zval> {
    let mut all = Vec::new();
    watchers::add_of_endpoint(Kind::Logger, endpoint, &mut all);
    match all.is_empty() {
        true => of_all(),
        false => all,
    }
}

/// The process's logger.
pub fn of_all() -> Vec<Zval> {
    OF_ALL.with_borrow(|logger| {
        let logger = logger.as_ref();
        logger.map(|one| one.shallow_clone()).into_iter().collect()
    })
}

/// Logs a message. What a logger throws is dropped: a full disk is no reason to fail a job.
///
/// # Errors
/// [`Fail::Pending`] if a logger called `exit()`, [`Fail::Bailout`] if it ended in a fatal error.
pub fn log(loggers: &[Zval], entry: &LogEntry) -> Result<(), Fail> {
    let before = engine::stash_exception();
    let logged = watchers::running(|| loggers.iter().try_for_each(|one| log_with(one, entry)));
    before.restore();
    logged
}

fn log_with(logger: &Zval, entry: &LogEntry) -> Result<(), Fail> {
    let Some(method) = method_of(logger) else {
        return Ok(());
    };
    let context = context(entry);
    let called = guarded(|| {
        let (level, message) = (entry.level.as_str(), entry.message);
        ZendCallable::new(&method).and_then(|call| call.try_call(vec![&level, &message, &context]))
    });
    match called {
        Err(Fail::Pending) => {
            let thrown = engine::stash_exception();
            if thrown.is_exit() {
                thrown.restore();
                return Err(Fail::Pending);
            }
            let _ = guarded(|| drop(thrown.into_zval()));
            Ok(())
        }
        Err(fail) => Err(fail),
        Ok(_) => Ok(()),
    }
}

fn context(entry: &LogEntry) -> Zval {
    json::decode(entry.context_json().as_bytes()).unwrap_or_else(|_| {
        let mut empty = Zval::new();
        empty.set_hashtable(ZendHashTable::new());
        empty
    })
}
