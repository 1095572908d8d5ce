//! What was declared, or found, over a connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{with_entry, with_pool, Key, Role};
use crate::connection::Connection;
use crate::settings::endpoint::Endpoint;

/// Declarations remembered for one connection; forgotten ones are only made again.
const MAX_DECLARED: usize = 4096;

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
    let key = Key::usual(endpoint, role);
    with_pool(|pool| {
        let entry = pool.entries.get(&key);
        entry.is_some_and(|entry| entry.declared.values().any(|at| at.elapsed() <= age))
    })
}

/// Something that was declared is gone: everything is looked at again.
pub(crate) fn forget_declared(endpoint: &Arc<Endpoint>, role: Role) {
    with_pool(|pool| {
        if let Some(entry) = pool.entries.get_mut(&Key::usual(endpoint, role)) {
            entry.declared.clear();
        }
    });
}
