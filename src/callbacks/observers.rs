//! The application's observers: of the process, and of queues by their option `observer`.
//!
//! They are called only on PHP's thread. What they throw is reported as a warning and affects
//! nothing else; only `exit()` and fatal errors come through.

use std::cell::RefCell;
use std::mem::ManuallyDrop;

use ext_php_rs::error::php_error;
use ext_php_rs::flags::ErrorType;
use ext_php_rs::types::Zval;

use super::loggers;
use super::watchers::{self, count, running, Kind};
use crate::convert;
use crate::engine::{self, guarded};
use crate::fail::Fail;

/// The option's name.
pub const OPTION: &str = "observer";

thread_local! {
    /// The process's observer. Released when the request ends.
    static OF_ALL: RefCell<Option<ManuallyDrop<Zval>>> = const { RefCell::new(None) };
}

/// Sets the process's observer; returns the one before.
pub fn set(observer: Option<&Zval>) -> Option<Zval> {
    let new = observer.map(|observer| ManuallyDrop::new(observer.shallow_clone()));
    let added = usize::from(new.is_some());
    let old = OF_ALL.replace(new);
    count(Kind::Observer, added, usize::from(old.is_some()));
    old.map(ManuallyDrop::into_inner)
}

/// The observers of a queue: the process's, then its own.
pub fn of_queue(number: u64) -> Vec<Zval> {
    let mut all = of_all();
    all.extend(watchers::of_queue(number));
    all
}

/// The observers of an endpoint's connections: the process's, then those of its queues.
pub fn of_endpoint(endpoint: &str) -> Vec<Zval> {
    let mut all = of_all();
    watchers::add_of_endpoint(Kind::Observer, endpoint, &mut all);
    all
}

fn of_all() -> Vec<Zval> {
    OF_ALL.with_borrow(|observer| {
        let observer = observer.as_ref();
        observer
            .map(|one| one.shallow_clone())
            .into_iter()
            .collect()
    })
}

/// Calls a method of all observers. A pending exception stays pending.
///
/// # Errors
/// [`Fail::Pending`] if one called `exit()`, [`Fail::Bailout`] if one ended in a fatal error.
pub fn tell(observers: &[Zval], method: &'static str, about: &Zval) -> Result<(), Fail> {
    let before = engine::stash_exception();
    if before.is_exit() {
        before.restore();
        return Ok(());
    }
    let told = running(|| {
        observers
            .iter()
            .try_for_each(|observer| tell_one(observer, method, about))
    });
    before.restore();
    told
}

fn tell_one(observer: &Zval, method: &'static str, about: &Zval) -> Result<(), Fail> {
    match guarded(|| observer.try_call_method(method, vec![about])) {
        Ok(_) => Ok(()),
        Err(Fail::Pending) => {
            let thrown = engine::stash_exception();
            if thrown.is_exit() {
                thrown.restore();
                return Err(Fail::Pending);
            }
            report(observer, method, thrown.into_zval())
        }
        Err(fail) => Err(fail),
    }
}

/// Reports what an observer has thrown. An error handler may turn the warning into an exception,
/// which is dropped.
fn report(observer: &Zval, method: &str, thrown: Option<Zval>) -> Result<(), Fail> {
    let class = convert::type_name(observer);
    let what = match &thrown {
        Some(thrown) => {
            let message = convert::failure(thrown).map(|failure| failure.message);
            format!(
                "{}: {}",
                convert::type_name(thrown),
                message.unwrap_or_default()
            )
        }
        None => String::from("an exception"),
    };
    let message = format!("the observer {class} threw in {method}(): {what}");
    loggers::on_thrown(&message);
    match guarded(|| php_error(&ErrorType::Warning, &message)) {
        Err(Fail::Pending) => {
            let thrown = engine::stash_exception();
            if thrown.is_exit() {
                thrown.restore();
                return Err(Fail::Pending);
            }
            drop(thrown.into_zval());
            Ok(())
        }
        done => done,
    }
}
