//! Connects on the runtime while PHP's thread waits.

use std::sync::Arc;
use std::time::Instant;

use super::entries::{Lost, Role, RESTING};
use super::hosts;
use crate::base::backoff;
use crate::base::events::{Event, EventKind};
use crate::base::fork;
use crate::base::pauses::DIAL_ATTEMPT;
use crate::base::runtime;
use crate::base::sync::Mutex;
use crate::base::threads;
use crate::base::wait::{Signal, Wait};
use crate::connection::{dial, Connection};
use crate::error::{Error, ErrorKind, Result};
use crate::settings::shared_endpoint::SharedEndpoint;

/// Connects. A lost connection is retried until the time to give up.
///
/// # Errors
/// Connection and authentication errors of the last attempt; timeout; interrupted.
pub(super) fn dial_until(
    endpoint: &SharedEndpoint,
    role: Role,
    lost: Option<&Lost>,
    wait: &Wait<'_>,
) -> Result<Connection> {
    let tell = |attempt, error: Option<&Error>| {
        threads::emit(|| Event {
            role: Some(role.as_str()),
            attempt: Some(attempt),
            error: error.cloned(),
            ..Event::new(EventKind::Dialling, endpoint.label())
        });
    };
    let Some(lost) = lost else {
        tell(1, None);
        return dial_once(endpoint, role, wait);
    };
    let give_up = lost.redial.until;
    let rest = lost.redial.from.min(give_up);
    // If the answer will be the same, there is no need to wait for it.
    let is_final = lost.redial.short_lived > 1 && lost.error.lasts();
    if !is_final {
        let left = rest.saturating_duration_since(Instant::now());
        wait.sleep(left.min(wait.patience()))?;
    }
    if Instant::now() < rest {
        return Err(Error::connection(format!(
            "the connection was lost soon after it was established, {} times in a row, and the next attempt is made after a pause: {}",
            lost.redial.short_lived, lost.error
        ))
        .with_condition(RESTING));
    }
    let mut attempts = 0u32;
    // A cause that occurs repeatedly is listed once.
    let mut causes: Vec<Error> = Vec::new();
    loop {
        let left = give_up.saturating_duration_since(Instant::now());
        tell(attempts + 1, Some(causes.last().unwrap_or(&lost.error)));
        let error = match dial_once(endpoint, role, &wait.at_most(left.min(DIAL_ATTEMPT))) {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        attempts += 1;
        if error.kind() != ErrorKind::Connection {
            return Err(error);
        }
        if !causes.contains(&error) {
            causes.push(error);
        }
        let left = give_up.saturating_duration_since(Instant::now());
        wait.sleep(backoff::pause(attempts).min(left))?;
        if wait.left().is_zero() || Instant::now() >= give_up {
            let causes: Vec<&str> = causes.iter().map(Error::message).collect();
            return Err(Error::connection(format!(
                "lost the connection ({}) and could not reconnect in {attempts} attempts: {}",
                lost.error,
                causes.join("; ")
            )));
        }
    }
}

fn dial_once(endpoint: &SharedEndpoint, role: Role, wait: &Wait<'_>) -> Result<Connection> {
    let (slot, signal) = (Arc::new(Mutex::new(Slot::Dialling)), Signal::new());
    let order = hosts::order(endpoint);
    let task = {
        let order = order.clone();
        let (endpoint, slot, signal) = (endpoint.clone(), Arc::clone(&slot), signal.clone());
        let timeout = wait.left();
        runtime::spawn(async move {
            let dialled = dial(endpoint.arc(), role.as_str(), &order, timeout).await;
            put(&mut slot.lock(), dialled);
            signal.raise();
        })?
    };
    let generation = fork::generation();
    let done = wait.until(&signal, || Ok(take(&mut slot.lock())));
    if let Ok(Some(dialled)) = done {
        if let Ok(connection) = &dialled {
            hosts::opened(endpoint, &order, connection.host());
        }
        return dialled;
    }
    if generation != fork::generation() {
        // A signal handler forked: the task belongs to the parent's runtime.
        std::mem::forget(task);
    } else {
        task.abort();
        give_up(&mut slot.lock());
    }
    done?;
    Err(Error::connection(format!(
        "cannot connect to {}: no answer within the timeout; is the address right, and does no firewall block it?",
        endpoint.label()
    )))
}

/// Where the connecting task leaves the connection for the waiting call. A connection that no one
/// takes would stay open as long as the process.
enum Slot {
    Dialling,
    Dialled(Result<Connection>),
    /// No one waits any more.
    GivenUp,
}

fn put(slot: &mut Slot, dialled: Result<Connection>) {
    match (&slot, dialled) {
        (Slot::GivenUp, Ok(connection)) => connection.begin_close(),
        (Slot::GivenUp, Err(_)) => {}
        (_, dialled) => *slot = Slot::Dialled(dialled),
    }
}

fn take(slot: &mut Slot) -> Option<Result<Connection>> {
    match std::mem::replace(slot, Slot::Dialling) {
        Slot::Dialled(dialled) => Some(dialled),
        _ => None,
    }
}

fn give_up(slot: &mut Slot) {
    // It arrived while a signal handler ran, or at the very last moment.
    if let Slot::Dialled(Ok(connection)) = std::mem::replace(slot, Slot::GivenUp) {
        connection.begin_close();
    }
}
