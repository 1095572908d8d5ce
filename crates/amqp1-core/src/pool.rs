//! Connections that outlive requests, and the links cached on them.
//!
//! Keyed by endpoint and role: publishing and consuming do not share a
//! connection, because a broker that blocks publishers stops reading from it.
//! Only PHP's thread locks the pool, so a fork never happens while it is locked.

mod dialling;
mod hosts;
mod info;
mod service_bus;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backoff::{self, Lives};
use crate::connection::{Ask, Connection, Scout, SenderLink};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::fork;
use crate::management::Management;
use crate::runtime;
use crate::servicebus::client::Client;
use crate::sync::Mutex;
use crate::wait::Wait;

use self::dialling::dial_until;
pub use self::info::{pool_info, ConnectionInfo, PoolInfo};
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

/// Senders kept open on one connection. RabbitMQ allows 64 sessions, one link each.
const MAX_SENDERS: usize = 48;

/// Declarations remembered for one connection; forgotten ones are only made again.
const MAX_DECLARED: usize = 4096;

/// The condition of a connection that broke soon after it was made, and is not dialled yet.
pub(crate) const RESTING: &str = "amqp1:resting";

static POOL: Mutex<Option<Pool>> = Mutex::new(None);

struct Pool {
    generation: u64,
    entries: HashMap<(Arc<Endpoint>, Role), Entry>,
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
        let entry = pool.entries.get_mut(&(Arc::clone(endpoint), role))?;
        entry.connection.is(connection).then(|| work(entry))
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
    let key = (Arc::clone(endpoint), role);
    let lost = match pooled(&key, redial) {
        Some((connection, None)) => return Ok(connection),
        Some((_, lost)) => lost,
        None => None,
    };
    let connection = match dial_until(endpoint, role, lost.as_ref(), wait) {
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
    let key = (Arc::clone(endpoint), role);
    with_pool(|pool| {
        let entry = pool.entries.get(&key);
        entry.is_some_and(|entry| entry.connection.lost().is_none())
    })
}

/// Leaves a connection over which something was sent and nothing confirmed: it is dialled
/// again, at another host.
pub(crate) fn leave_silent(endpoint: &Arc<Endpoint>, role: Role) {
    let key = (Arc::clone(endpoint), role);
    with_pool(|pool| {
        if let Some(entry) = pool.entries.get(&key) {
            entry.connection.leave_unless_nothing_is_owed();
        }
    });
}

/// The pooled connection; if it is lost, why, and until when it is dialled again.
fn pooled(key: &(Arc<Endpoint>, Role), redial: Duration) -> Option<(Connection, Option<Lost>)> {
    with_pool(|pool| {
        let entry = pool.entries.get_mut(key)?;
        let lost = entry.connection.lost().map(|error| {
            let short_lived = entry.lives.ended();
            if entry.redial.is_none() {
                hosts::failed(&key.0, entry.connection.place());
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
    let key = (Arc::clone(endpoint), role);
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
            let Some(entry) = pool.entries.get(&(Arc::clone(endpoint), *role)) else {
                return false;
            };
            lost |= entry.connection.lost().is_some() && entry.redial.is_none();
        }
        lost
    })
}

/// The cached sender to `address` (`None`: the anonymous terminus), attached
/// when there is none. The least recently used idle one makes room.
pub(crate) fn sender(
    endpoint: &Arc<Endpoint>,
    connection: &Connection,
    address: Option<&str>,
    ask: Ask,
) -> Result<SenderLink> {
    let cached = with_entry(endpoint, Role::Publish, connection, |entry| {
        let key = address.map(str::to_owned);
        if let Some((link, used)) = entry.senders.get_mut(&key) {
            if link.failed().is_none() {
                *used = Instant::now();
                return Ok(link.clone());
            }
            entry.senders.remove(&key);
        }
        if entry.senders.len() >= MAX_SENDERS {
            evict(entry);
        }
        let link = match SenderLink::open(connection, address, ask)? {
            Some(link) => link,
            None => {
                evict(entry);
                return Err(Error::connection(format!(
                    "{}: all of the connection's sessions are in use",
                    connection.label()
                )));
            }
        };
        entry.senders.insert(key, (link.clone(), Instant::now()));
        Ok(link)
    });
    cached.unwrap_or_else(|| {
        Err(Error::connection(format!(
            "the connection to {} was replaced",
            connection.label()
        )))
    })
}

fn evict(entry: &mut Entry) {
    let idle = entry.senders.iter().filter(|(_, (link, _))| link.is_idle());
    let oldest = idle.min_by_key(|(_, (_, used))| *used);
    if let Some(key) = oldest.map(|(key, _)| key.clone()) {
        if let Some((link, _)) = entry.senders.remove(&key) {
            link.close();
        }
    }
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
        None => Scout::open(connection)?.ok_or_else(|| {
            Error::connection(format!(
                "{}: all of the connection's sessions are in use",
                connection.label()
            ))
        }),
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

/// True when `name` was declared over this connection no longer ago than `age`.
pub(crate) fn is_declared(
    endpoint: &Arc<Endpoint>,
    role: Role,
    connection: &Connection,
    name: &str,
    age: Duration,
) -> bool {
    with_entry(endpoint, role, connection, |entry| {
        let at = entry.declared.get(name);
        at.is_some_and(|at| at.elapsed() <= age)
    })
    .unwrap_or(false)
}

/// Remembers that `name` was declared just now.
pub(crate) fn set_declared(
    endpoint: &Arc<Endpoint>,
    role: Role,
    connection: &Connection,
    name: &str,
) {
    with_entry(endpoint, role, connection, |entry| {
        // Delay queues of many targets must not make this grow for ever.
        if entry.declared.len() >= MAX_DECLARED {
            entry.declared.clear();
        }
        entry.declared.insert(name.to_owned(), Instant::now());
    });
}

/// True when anything was declared over the endpoint's connection so lately.
pub(crate) fn declared_within(endpoint: &Arc<Endpoint>, role: Role, age: Duration) -> bool {
    let key = (Arc::clone(endpoint), role);
    with_pool(|pool| {
        let entry = pool.entries.get(&key);
        entry.is_some_and(|entry| entry.declared.values().any(|at| at.elapsed() <= age))
    })
}

/// Something that was declared is gone: everything is looked at again.
pub(crate) fn forget_declared(endpoint: &Arc<Endpoint>, role: Role) {
    with_pool(|pool| {
        if let Some(entry) = pool.entries.get_mut(&(Arc::clone(endpoint), role)) {
            entry.declared.clear();
        }
    });
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
