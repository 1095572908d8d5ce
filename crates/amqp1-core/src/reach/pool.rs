//! Connections that outlive requests, and the links cached on them.
//!
//! Keyed by endpoint and role: publishing and consuming do not share a
//! connection, because a broker that blocks publishers stops reading from it.
//! Where the links of a role are more than a connection takes, there are
//! [`further`] ones. Only PHP's thread locks the pool, so a fork never happens while it is locked.

mod declared;
mod dialling;
mod further;
mod hosts;
mod info;
mod senders;
mod service_bus;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::backoff::{self, Lives};
use crate::base::fork;
use crate::base::runtime;
use crate::base::sync::Mutex;
use crate::base::wait::Wait;
use crate::brokers::rabbitmq::management::Management;
use crate::brokers::servicebus::client::Client;
use crate::connection::{Connection, Scout, SenderLink};
use crate::error::{Error, ErrorKind, Result};
use crate::settings::endpoint::Endpoint;

pub(crate) use self::declared::{declared_within, forget_declared, is_declared, set_declared};
use self::dialling::dial_until;
pub(crate) use self::further::with_room;
pub use self::info::{pool_info, ConnectionInfo, PoolInfo};
pub(crate) use self::senders::sender;
pub use self::service_bus::forget_callback;
pub(crate) use self::service_bus::{forget_tokens, service_bus};

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Publish,
    Consume,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Publish => "push",
            Role::Consume => "consume",
        }
    }
}

/// The condition of a connection that broke soon after it was made, and is not dialled yet.
pub(crate) const RESTING: &str = "amqp1:resting";

static POOL: Mutex<Option<Pool>> = Mutex::new(None);

struct Pool {
    generation: u64,
    entries: HashMap<Key, Entry>,
}

/// A connection's place in the pool.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    endpoint: Arc<Endpoint>,
    role: Role,
    /// 0 is the usual connection, the others are for links that it has no room for.
    number: u32,
}

impl Key {
    fn usual(endpoint: &Arc<Endpoint>, role: Role) -> Self {
        Self::further(endpoint, role, 0)
    }

    fn further(endpoint: &Arc<Endpoint>, role: Role, number: u32) -> Self {
        Self {
            endpoint: Arc::clone(endpoint),
            role,
            number,
        }
    }

    fn is_of(&self, endpoint: &Arc<Endpoint>, role: Role) -> bool {
        self.role == role && self.endpoint == *endpoint
    }
}

struct Entry {
    connection: Connection,
    senders: HashMap<Option<String>, (SenderLink, Instant)>,
    management: Option<Management>,
    service_bus: Option<Arc<Client>>,
    scout: Option<Scout>,
    /// What was declared (or found) over this connection.
    declared: HashMap<String, Instant>,
    /// The connection is lost: when it is dialled again, by however many calls.
    redial: Option<Redial>,
    lives: Lives,
}

/// When a lost connection is dialled again.
#[derive(Clone, Copy)]
struct Redial {
    /// Not before.
    from: Instant,
    until: Instant,
    /// How many broke soon after they were made, this one the last.
    short_lived: u32,
}

/// A connection that was lost.
struct Lost {
    error: Error,
    redial: Redial,
}

fn with_pool<T>(work: impl FnOnce(&mut Pool) -> T) -> T {
    let mut pool = POOL.lock();
    if pool
        .as_ref()
        .is_some_and(|pool| pool.generation != fork::generation())
    {
        // The parent's connections: neither written to nor shut down from here.
        std::mem::forget(pool.take());
    }
    let pool = pool.get_or_insert_with(|| Pool {
        generation: fork::generation(),
        entries: HashMap::new(),
    });
    work(pool)
}

fn with_entry<T>(
    endpoint: &Arc<Endpoint>,
    role: Role,
    connection: &Connection,
    work: impl FnOnce(&mut Entry) -> T,
) -> Option<T> {
    with_pool(|pool| {
        let mut of_role = pool.entries.iter_mut();
        let (_, entry) = of_role
            .find(|(key, entry)| entry.connection.is(connection) && key.is_of(endpoint, role))?;
        Some(work(entry))
    })
}

/// The pooled connection of an endpoint, dialled when there is none.
///
/// A broker never reached before fails at once. One whose connection was lost is
/// dialled again, with exponential backoff and full jitter, until the deadline;
/// when `redial` has passed since the first such call, it counts as never reached.
///
/// # Errors
/// Connection and authentication errors of the last attempt; timeout.
pub(crate) fn connection(
    endpoint: &Arc<Endpoint>,
    role: Role,
    redial: Duration,
    wait: &Wait<'_>,
) -> Result<Connection> {
    connection_of(Key::usual(endpoint, role), redial, wait)
}

fn connection_of(key: Key, redial: Duration, wait: &Wait<'_>) -> Result<Connection> {
    let lost = match pooled(&key, redial) {
        Some((connection, None)) => return Ok(connection),
        Some((_, lost)) => lost,
        None => None,
    };
    let connection = match dial_until(&key.endpoint, key.role, lost.as_ref(), wait) {
        Ok(connection) => connection,
        Err(error) => {
            // The next call starts afresh, or goes on where this one's deadline ended it.
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
        connection.close_when_idle(further::IDLE);
    }
    let winner = with_pool(|pool| {
        if let Some(other) = pool.entries.get(&key) {
            // Another thread was quicker: links and declarations are on its connection.
            if other.connection.lost().is_none() {
                return other.connection.clone();
            }
        }
        let entry = Entry {
            connection: connection.clone(),
            senders: HashMap::new(),
            management: None,
            service_bus: None,
            scout: None,
            declared: HashMap::new(),
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

/// True when the connection of an endpoint stands: a failure was its link's alone.
pub(crate) fn is_connected(endpoint: &Arc<Endpoint>, role: Role) -> bool {
    let key = Key::usual(endpoint, role);
    with_pool(|pool| {
        let entry = pool.entries.get(&key);
        entry.is_some_and(|entry| entry.connection.lost().is_none())
    })
}

/// Leaves the connections over which something was sent and nothing confirmed: they are dialled
/// again, at another host.
pub(crate) fn leave_silent(endpoint: &Arc<Endpoint>, role: Role) {
    with_pool(|pool| {
        let entries = pool.entries.iter();
        for (_, entry) in entries.filter(|(key, _)| key.is_of(endpoint, role)) {
            entry.connection.leave_unless_nothing_is_owed();
        }
    });
}

/// The pooled connection; if it is lost, why, and until when it is dialled again.
fn pooled(key: &Key, redial: Duration) -> Option<(Connection, Option<Lost>)> {
    with_pool(|pool| {
        let entry = pool.entries.get_mut(key)?;
        let lost = entry.connection.lost().map(|error| {
            let short_lived = entry.lives.ended();
            if entry.redial.is_none() {
                hosts::failed(&key.endpoint, entry.connection.place());
            }
            let redial = *entry.redial.get_or_insert_with(|| Redial {
                from: Instant::now() + backoff::pause(short_lived),
                until: Instant::now() + redial,
                short_lived,
            });
            Lost { error, redial }
        });
        Some((entry.connection.clone(), lost))
    })
}

/// True when the connection of an endpoint broke soon after it was made, and is left alone
/// for a while.
pub(crate) fn is_resting(endpoint: &Arc<Endpoint>, role: Role) -> bool {
    let key = Key::usual(endpoint, role);
    with_pool(|pool| {
        let entry = pool.entries.get(&key);
        let redial = entry.and_then(|entry| entry.redial);
        redial.is_some_and(|redial| Instant::now() < redial.from)
    })
}

/// True when one of these connections was lost while it was used: whoever used
/// it tries again, and dials. False when dialling one of them is what failed.
pub(crate) fn was_lost(endpoint: &Arc<Endpoint>, roles: &[Role]) -> bool {
    with_pool(|pool| {
        let mut lost = false;
        for role in roles {
            let Some(entry) = pool.entries.get(&Key::usual(endpoint, *role)) else {
                return false;
            };
            lost |= entry.connection.lost().is_some() && entry.redial.is_none();
            lost |= further::drop_lost(pool, endpoint, *role);
        }
        lost
    })
}

/// The management link pair of a connection.
pub(crate) fn management(
    endpoint: &Arc<Endpoint>,
    role: Role,
    connection: &Connection,
) -> Result<Management> {
    let cached = with_entry(endpoint, role, connection, |entry| {
        if let Some(management) = &entry.management {
            if management.failed().is_none() {
                return Ok(management.clone());
            }
        }
        let management = Management::open(connection)?;
        entry.management = Some(management.clone());
        Ok(management)
    });
    cached.unwrap_or_else(|| Management::open(connection))
}

/// The session for questions of a connection, for one of them: it is given back
/// with [`keep_scout`] when it can be asked again. Who asks meanwhile, as a signal
/// handler does, gets another one.
pub(crate) fn scout(
    endpoint: &Arc<Endpoint>,
    role: Role,
    connection: &Connection,
) -> Result<Scout> {
    let kept = with_entry(endpoint, role, connection, |entry| entry.scout.take());
    match kept.flatten() {
        Some(scout) => Ok(scout),
        None => Scout::open(connection),
    }
}

/// Keeps the session for the next question.
pub(crate) fn keep_scout(
    endpoint: &Arc<Endpoint>,
    role: Role,
    connection: &Connection,
    scout: Scout,
) {
    let unused = with_entry(endpoint, role, connection, |entry| {
        entry.scout.replace(scout)
    });
    if let Some(Some(other)) = unused {
        other.close();
    }
}

/// Closes this process's connections in good order and ends the I/O thread,
/// all within `timeout`. Nothing happens in a child that made none.
pub fn shutdown(timeout: Duration) {
    let wait = Wait::uninterrupted(timeout);
    let connections: Vec<Connection> = with_pool(|pool| {
        let entries = std::mem::take(&mut pool.entries);
        entries
            .into_values()
            .map(|entry| entry.connection)
            .collect()
    });
    for connection in &connections {
        connection.begin_end();
    }
    for connection in &connections {
        connection.await_ends(&wait.at_most(wait.left() / 2));
    }
    for connection in &connections {
        connection.begin_close();
    }
    for connection in &connections {
        connection.close(&wait);
    }
    runtime::shutdown(wait.left());
}
