//! A description of the pool for people.

use super::entries::with_pool;
use crate::base::counters::Counters;
use crate::base::runtime;

/// One pooled connection, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// The endpoint and the connected host, without secrets.
    pub endpoint: String,
    /// `push` or `consume`.
    pub role: &'static str,
    /// `open`, or why it is lost.
    pub state: String,
    /// The number of sessions in use.
    pub sessions: usize,
}

/// The pool of this process, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolInfo {
    /// Whether the I/O thread is running.
    pub runtime_started: bool,
    /// The pooled connections.
    pub connections: Vec<ConnectionInfo>,
}

/// The number of open connections, and the deliveries that wait, by the counters of their queue.
pub(crate) fn buffered() -> (u64, Vec<(&'static Counters, u64)>) {
    with_pool(|pool| {
        let (mut open, mut all) = (0, Vec::new());
        for entry in pool.entries.values() {
            open += u64::from(entry.connection.lost().is_none());
            all.extend(entry.connection.buffered());
        }
        (open, all)
    })
}

/// The state of the pool. Starts nothing.
#[must_use]
pub fn pool_info() -> PoolInfo {
    let connections = with_pool(|pool| {
        let entries = pool.entries.iter();
        let infos = entries.map(|(key, entry)| ConnectionInfo {
            endpoint: entry.connection.label().to_owned(),
            role: key.role.as_str(),
            state: match entry.connection.lost() {
                None => "open".to_owned(),
                Some(error) => error.message().to_owned(),
            },
            sessions: entry.connection.session_count(),
        });
        infos.collect()
    });
    PoolInfo {
        runtime_started: runtime::is_started(),
        connections,
    }
}
