//! Delivers the events of connections to the observers, between two statements or during a wait.

use amqp1_core::{threads, Event};
use ext_php_rs::convert::IntoZval;

use super::connection::Connection;
use super::log;
use super::observer::CONNECTION;
use crate::callbacks::{loggers, lost, observers, watchers};
use crate::engine::{guarded, interrupts};
use crate::fail::Fail;

/// Call it at MINIT.
pub fn register() {
    interrupts::on_request(act);
    loggers::log_thrown_with(log::thrown);
}

/// Runs on each interrupted thread.
fn act() -> Result<(), Fail> {
    deliver()?;
    lost::tell_if_asked()
}

/// Delivers the events that have happened. While an observer runs, they wait.
///
/// # Errors
/// An observer called `exit()`, or ended in a fatal error: the other events are dropped.
fn deliver() -> Result<(), Fail> {
    if watchers::is_running() {
        return Ok(());
    }
    threads::take_events().into_iter().try_for_each(tell)
}

fn tell(event: Event) -> Result<(), Fail> {
    log::log(&event)?;
    let all = observers::of_endpoint(&event.endpoint);
    if all.is_empty() {
        return Ok(());
    }
    let about = Connection { event }.into_zval(false);
    let about = about.map_err(Fail::internal)?;
    let told = observers::tell(&all, CONNECTION, &about);
    // They may end here, which may run destructors.
    let _ = guarded(move || drop((all, about)));
    told
}

/// Writes the events that no one can be told of any more to the log of php.ini.
pub fn end_request() {
    for event in threads::take_events() {
        log::append_event(&event);
    }
}
