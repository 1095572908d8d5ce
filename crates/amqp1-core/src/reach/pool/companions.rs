//! The companions of pooled connections.

use std::sync::Arc;
use std::time::Duration;

use super::entries::{with_entry, with_pool, Entry, Role};
use crate::brokers::seams::companion::Companion;
use crate::brokers::Dialect;
use crate::connection::Connection;
use crate::error::Result;
use crate::settings::access::Access;
use crate::settings::shared_endpoint::SharedEndpoint;

/// The companion of the connection, created if necessary.
pub(crate) fn companion(
    endpoint: &SharedEndpoint,
    role: Role,
    connection: &Connection,
    dialect: &'static dyn Dialect,
) -> Result<Option<Arc<dyn Companion>>> {
    let kept = with_entry(endpoint, role, connection, |entry| {
        if entry.companion.is_none() {
            entry.companion = dialect.companion(endpoint.arc(), connection)?;
        }
        Ok(entry.companion.clone())
    });
    kept.unwrap_or_else(|| dialect.companion(endpoint.arc(), connection))
}

/// The companions of an endpoint's connections.
fn companions(endpoint: &SharedEndpoint, role: Role) -> Vec<Arc<dyn Companion>> {
    with_pool(|pool| {
        let entries = pool.entries.iter();
        let of_role = entries.filter(|(key, _)| key.is_of(endpoint, role));
        of_role
            .filter_map(|(_, entry)| entry.companion.clone())
            .collect()
    })
}

/// Whether anything was declared over the endpoint's connections within `age`.
pub(crate) fn declared_within(endpoint: &SharedEndpoint, role: Role, age: Duration) -> bool {
    let companions = companions(endpoint, role);
    companions.iter().any(|one| one.declared_within(age))
}

/// Forgets all checks, because something that was declared no longer exists.
pub(crate) fn forget_declared(endpoint: &SharedEndpoint, role: Role) {
    companions(endpoint, role)
        .iter()
        .for_each(|one| one.forget_declared());
}

/// Makes all connections of an endpoint send new tokens before the next attach, because theirs have
/// expired.
pub(crate) fn forget_tokens(endpoint: &SharedEndpoint, role: Role) {
    companions(endpoint, role)
        .iter()
        .for_each(|one| one.forget_tokens());
}

/// Closes the connections of the application's callback with this number, which no longer exists.
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
