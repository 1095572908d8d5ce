//! What pooled connections to Service Bus have besides their links.

use std::sync::Arc;

use super::{with_entry, with_pool, Entry, Role};
use crate::brokers::servicebus::client::Client;
use crate::connection::Connection;
use crate::error::Result;
use crate::settings::access::Access;
use crate::settings::endpoint::Endpoint;

/// What a connection to Service Bus has besides.
pub(crate) fn service_bus(
    endpoint: &Arc<Endpoint>,
    role: Role,
    connection: &Connection,
) -> Result<Arc<Client>> {
    let cached = with_entry(endpoint, role, connection, |entry| {
        if let Some(client) = &entry.service_bus {
            return Ok(Arc::clone(client));
        }
        let client = Client::start(endpoint, connection)?;
        entry.service_bus = Some(Arc::clone(&client));
        Ok(client)
    });
    cached.unwrap_or_else(|| Client::start(endpoint, connection))
}

/// The tokens of an endpoint's connection are over: they are put again before the next attach.
pub(crate) fn forget_tokens(endpoint: &Arc<Endpoint>, role: Role) {
    with_pool(|pool| {
        let entries = pool
            .entries
            .iter()
            .filter(|(key, _)| key.is_of(endpoint, role));
        entries
            .filter_map(|(_, entry)| entry.service_bus.as_ref())
            .for_each(|client| client.forget_tokens());
    });
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
