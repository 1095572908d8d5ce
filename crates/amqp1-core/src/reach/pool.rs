//! Connections that outlive requests, and the links cached on them.
//!
//! Keyed by endpoint and role: publishing and consuming do not share a
//! connection, because a broker that blocks publishers stops reading from it.
//! Where the links of a role are more than a connection takes, there are
//! [`further`] ones. Only PHP's thread locks the pool, so a fork never happens while it is locked.

mod dialling;
mod further;
mod hosts;
mod info;
mod senders;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::backoff::{self, Lives};
use crate::base::fork;
use crate::base::runtime;
use crate::base::sync::Mutex;
use crate::base::wait::Wait;
use crate::brokers::seams::companion::Companion;
use crate::brokers::Dialect;
use crate::connection::{Connection, SenderLink};
use crate::error::{Error, ErrorKind, Result};
use crate::settings::access::Access;
use crate::settings::endpoint::Endpoint;

use self::dialling::dial_until;
pub(crate) use self::further::with_room;
pub use self::info::{pool_info, ConnectionInfo, PoolInfo};
pub(crate) use self::senders::sender;

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
    companion: Option<Arc<dyn Companion>>,
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
                hosts::failed(&key.endpoint, entry.connection.host());
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

/// What goes with the connection, made with it.
pub(crate) fn companion(
    endpoint: &Arc<Endpoint>,
    role: Role,
    connection: &Connection,
    dialect: &'static dyn Dialect,
) -> Result<Option<Arc<dyn Companion>>> {
    let kept = with_entry(endpoint, role, connection, |entry| {
        if entry.companion.is_none() {
            entry.companion = dialect.companion(endpoint, connection)?;
        }
        Ok(entry.companion.clone())
    });
    kept.unwrap_or_else(|| dialect.companion(endpoint, connection))
}

/// The companions of an endpoint's connections.
fn companions(endpoint: &Arc<Endpoint>, role: Role) -> Vec<Arc<dyn Companion>> {
    with_pool(|pool| {
        let entries = pool.entries.iter();
        let of_role = entries.filter(|(key, _)| key.is_of(endpoint, role));
        of_role
            .filter_map(|(_, entry)| entry.companion.clone())
            .collect()
    })
}

/// True when anything was declared over the endpoint's connection so lately.
pub(crate) fn declared_within(endpoint: &Arc<Endpoint>, role: Role, age: Duration) -> bool {
    let companions = companions(endpoint, role);
    companions.iter().any(|one| one.declared_within(age))
}

/// Something that was declared is gone: everything is looked at again.
pub(crate) fn forget_declared(endpoint: &Arc<Endpoint>, role: Role) {
    companions(endpoint, role)
        .iter()
        .for_each(|one| one.forget_declared());
}

/// The tokens of an endpoint's connections have expired: they are put again before the next attach.
pub(crate) fn forget_tokens(endpoint: &Arc<Endpoint>, role: Role) {
    companions(endpoint, role)
        .iter()
        .for_each(|one| one.forget_tokens());
}

/// The application's callback of this number is gone: its connections are closed.
pub fn forget_callback(number: u64) {
    let gone: Vec<Entry> = with_pool(|pool| {
        let keys: Vec<_> = pool.entries.keys().cloned().collect();
        let of_it = keys
            .into_iter()
            .filter(|key| key.endpoint.access == Access::Callback(number));
        of_it.filter_map(|key| pool.entries.remove(&key)).collect()
    });
    gone.iter().for_each(|entry| entry.connection.begin_close());
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
