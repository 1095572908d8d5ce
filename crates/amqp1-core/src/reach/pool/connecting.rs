//! The connection in a slot of the pool: opened if there is none, and again if it was lost.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::dialling::dial_until;
use super::entries::{with_pool, Entry, Key, Lost, Redial, Role};
use super::hosts;
use crate::base::backoff::{self, Lives};
use crate::base::counters::CONNECTIONS;
use crate::base::events::{Event, EventKind};
use crate::base::threads;
use crate::base::wait::Wait;
use crate::connection::Connection;
use crate::error::{ErrorKind, Result};
use crate::settings::shared_endpoint::SharedEndpoint;

/// How long an additional connection without links stays open.
const IDLE: Duration = Duration::from_secs(30);

/// The pooled connection of an endpoint, opened if there is none.
///
/// If the broker was never reached before, a failure is immediate. A lost connection is retried
/// with exponential backoff and full jitter, until the deadline. Once `redial` has passed since the
/// first such call, the broker counts as never reached.
///
/// # Errors
/// Connection and authentication errors of the last attempt; timeout.
pub(crate) fn connection(
    endpoint: &SharedEndpoint,
    role: Role,
    redial: Duration,
    wait: &Wait<'_>,
) -> Result<Connection> {
    connection_of(Key::usual(endpoint, role), redial, wait)
}

pub(super) fn connection_of(key: Key, redial: Duration, wait: &Wait<'_>) -> Result<Connection> {
    let lost = match pooled(&key, redial) {
        Some((connection, None)) => return Ok(connection),
        Some((_, lost)) => lost,
        None => None,
    };
    let dialled = dial_until(&key.endpoint, key.role, lost.as_ref(), wait);
    tell(&key, lost.as_ref(), &dialled);
    let connection = match dialled {
        Ok(connection) => connection,
        Err(error) => {
            // The next call starts afresh, or continues if this call's deadline ended the attempts.
            let goes_on = lost
                .as_ref()
                .is_some_and(|lost| Instant::now() < lost.redial.until);
            let undecided = match error.kind() {
                ErrorKind::Interrupted | ErrorKind::Timeout => true,
                ErrorKind::Connection => goes_on,
                _ => false,
            };
            if !undecided {
                with_pool(|pool| pool.entries.remove(&key));
            }
            return Err(error);
        }
    };
    if key.number > 0 {
        connection.close_when_idle(IDLE);
    }
    let winner = with_pool(|pool| {
        if let Some(other) = pool.entries.get(&key) {
            // Another thread was faster, and its connection already has links and declarations.
            if other.connection.lost().is_none() {
                return other.connection.clone();
            }
        }
        let entry = Entry {
            connection: connection.clone(),
            senders: HashMap::new(),
            companion: None,
            redial: None,
            lives: Lives::after(lost.map_or(0, |lost| lost.redial.short_lived)),
        };
        pool.entries.insert(key, entry);
        connection.clone()
    });
    if !winner.is(&connection) {
        connection.begin_close();
    }
    Ok(winner)
}

/// Tells of the outcome.
fn tell(key: &Key, lost: Option<&Lost>, dialled: &Result<Connection>) {
    match dialled {
        Ok(_) => CONNECTIONS.opened.add(1),
        Err(error) if error.kind() == ErrorKind::Interrupted => {}
        Err(_) => CONNECTIONS.failed.add(1),
    }
    if dialled.is_ok() && lost.is_some() {
        CONNECTIONS.reopened.add(1);
    }
    let (kind, label, error) = match dialled {
        Ok(connection) => (EventKind::Connected, connection.label(), None),
        Err(error) if error.kind() == ErrorKind::Interrupted => return,
        Err(error) => (
            EventKind::ConnectFailed,
            key.endpoint.label(),
            Some(error.clone()),
        ),
    };
    threads::emit(|| Event {
        role: Some(key.role.as_str()),
        container: dialled.as_ref().ok().map(Connection::container_id),
        seconds: lost.map(|lost| lost.redial.since.elapsed()),
        error,
        ..Event::new(kind, label)
    });
}

/// The pooled connection; if it is lost, also why, and until when it is retried.
fn pooled(key: &Key, redial: Duration) -> Option<(Connection, Option<Lost>)> {
    with_pool(|pool| {
        let entry = pool.entries.get_mut(key)?;
        let lost = entry.connection.lost().map(|error| {
            let short_lived = entry.lives.ended();
            if entry.redial.is_none() {
                hosts::failed(&key.endpoint, entry.connection.host());
            }
            let redial = *entry.redial.get_or_insert_with(|| Redial {
                since: Instant::now(),
                from: Instant::now() + backoff::pause(short_lived),
                until: Instant::now() + redial,
                short_lived,
            });
            Lost { error, redial }
        });
        Some((entry.connection.clone(), lost))
    })
}
