//! What goes with the pooled connections.

use std::sync::Arc;
use std::time::Duration;

use super::entries::{with_entry, with_pool, Entry, Role};
use crate::brokers::seams::companion::Companion;
use crate::brokers::Dialect;
use crate::connection::Connection;
use crate::error::Result;
use crate::settings::access::Access;
use crate::settings::shared_endpoint::SharedEndpoint;

/// What goes with the connection, made with it.
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

/// True when anything was declared over the endpoint's connection so lately.
pub(crate) fn declared_within(endpoint: &SharedEndpoint, role: Role, age: Duration) -> bool {
    let companions = companions(endpoint, role);
    companions.iter().any(|one| one.declared_within(age))
}

/// Something that was declared is gone: everything is looked at again.
pub(crate) fn forget_declared(endpoint: &SharedEndpoint, role: Role) {
    companions(endpoint, role)
        .iter()
        .for_each(|one| one.forget_declared());
}

/// The tokens of an endpoint's connections have expired: they are put again before the next attach.
pub(crate) fn forget_tokens(endpoint: &SharedEndpoint, role: Role) {
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
