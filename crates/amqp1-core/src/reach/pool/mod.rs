//! Connections that outlive requests, and the links cached on them.
//!
//! They are keyed by endpoint and role. Publishing and consuming do not share a connection, because
//! a broker that blocks publishers stops reading from it. If a role needs more links than one
//! connection allows, there are [`further`] ones. All threads of a process share them.

mod companions;
mod connecting;
mod dialling;
mod entries;
mod further;
mod hosts;
mod info;
mod senders;

use std::time::{Duration, Instant};

use self::entries::{with_pool, Key};
use crate::base::runtime;
use crate::base::wait::Wait;
use crate::connection::Connection;
use crate::settings::shared_endpoint::SharedEndpoint;

pub use self::companions::forget_callback;
pub(crate) use self::companions::{companion, declared_within, forget_declared, forget_tokens};
pub(crate) use self::connecting::connection;
pub(crate) use self::entries::{Role, RESTING};
pub(crate) use self::further::with_room;
pub(crate) use self::info::buffered;
pub use self::info::{pool_info, ConnectionInfo, PoolInfo};
pub(crate) use self::senders::sender;

/// Whether the connection of an endpoint is open, so that a failure concerned only its link.
pub(crate) fn is_connected(endpoint: &SharedEndpoint, role: Role) -> bool {
    let key = Key::usual(endpoint, role);
    with_pool(|pool| {
        let entry = pool.entries.get(&key);
        entry.is_some_and(|entry| entry.connection.lost().is_none())
    })
}

/// Ends the connections on which something was sent and nothing confirmed. They are then opened to
/// another host.
pub(crate) fn leave_silent(endpoint: &SharedEndpoint, role: Role) {
    with_pool(|pool| {
        let entries = pool.entries.iter();
        for (_, entry) in entries.filter(|(key, _)| key.is_of(endpoint, role)) {
            entry.connection.leave_unless_nothing_is_owed();
        }
    });
}

/// Whether the connection of an endpoint broke soon after it opened, so that it is left alone for a
/// while.
pub(crate) fn is_resting(endpoint: &SharedEndpoint, role: Role) -> bool {
    let key = Key::usual(endpoint, role);
    with_pool(|pool| {
        let entry = pool.entries.get(&key);
        let redial = entry.and_then(|entry| entry.redial);
        redial.is_some_and(|redial| Instant::now() < redial.from)
    })
}

/// True if one of these connections was lost while it was in use, so that its user must retry and
/// reconnect. False if connecting itself failed.
pub(crate) fn was_lost(endpoint: &SharedEndpoint, roles: &[Role]) -> bool {
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

/// Closes this process's connections in an orderly way and stops the I/O thread, all within
/// `timeout`. Does nothing in a child that opened none.
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
