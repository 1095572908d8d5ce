//! Cached senders: one per address.

use std::time::{Duration, Instant};

use super::entries::{with_pool, Entry, Key, Pool, Role};
use super::further;
use crate::base::pauses::NO_SESSION;
use crate::base::wait::Wait;
use crate::brokers;
use crate::connection::{all_in_use, Connection, SenderLink, SenderOptions};
use crate::error::condition::Condition;
use crate::error::{Error, ErrorKind, Result};
use crate::settings::shared_endpoint::SharedEndpoint;

/// The most senders on one connection: RabbitMQ allows 64 sessions.
const MAX_SENDERS: usize = 48;

/// The most connections for senders. With more than 240 addresses, senders are replaced.
const MAX_CONNECTIONS: u32 = 5;

/// The result of looking for a sender.
enum Found {
    Link(SenderLink),
    /// Another connection is needed.
    NoRoom(Key),
    /// All sessions are in use, including those about to end.
    Busy,
}

/// The cached sender for an address (`None`: the anonymous terminus), attached if there is none. If
/// there are too many, the least recently used idle one is closed.
///
/// # Errors
/// If the connection was lost or replaced.
pub(crate) fn sender(
    endpoint: &SharedEndpoint,
    usual: &Connection,
    (address, options): (Option<&str>, SenderOptions),
    redial: Duration,
    wait: &Wait<'_>,
) -> Result<SenderLink> {
    let address = address.map(str::to_owned);
    let mut connections = match brokers::presumed(endpoint).spreads_links() {
        true => MAX_CONNECTIONS,
        false => 1,
    };
    loop {
        match with_pool(|pool| find(pool, endpoint, usual, (&address, options), connections))? {
            Found::Link(link) => return Ok(link),
            Found::NoRoom(key) => match further::open(key, usual, redial, wait) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                // Fewer connections must be enough.
                Err(_) => connections = 0,
            },
            Found::Busy if wait.left().is_zero() => return Err(all_in_use(usual.label())),
            Found::Busy => wait.sleep(NO_SESSION)?,
        }
    }
}

fn find(
    pool: &mut Pool,
    endpoint: &SharedEndpoint,
    usual: &Connection,
    (address, options): (&Option<String>, SenderOptions),
    connections: u32,
) -> Result<Found> {
    further::drop_lost(pool, endpoint, Role::Publish);
    let entry = pool.entries.get(&Key::usual(endpoint, Role::Publish));
    if !entry.is_some_and(|entry| entry.connection.is(usual)) {
        return Err(Error::connection(format!(
            "the connection to {} was replaced",
            usual.label()
        )));
    }
    let numbers = 0..MAX_CONNECTIONS;
    for number in numbers.clone() {
        let key = Key::further(endpoint, Role::Publish, number);
        let Some(entry) = pool.entries.get_mut(&key) else {
            continue;
        };
        if let Some((link, used)) = entry.senders.get_mut(address) {
            if link.failed().is_none() {
                *used = Instant::now();
                return Ok(Found::Link(link.clone()));
            }
            entry.senders.remove(address);
        }
    }
    // The usual one comes first, and only its loss is reported.
    for number in numbers.clone() {
        let key = Key::further(endpoint, Role::Publish, number);
        let Some(entry) = pool.entries.get_mut(&key) else {
            if number < connections {
                return Ok(Found::NoRoom(key));
            }
            continue;
        };
        let has_room = entry.connection.has_room() || entry.connection.lost().is_some();
        if entry.senders.len() < MAX_SENDERS && has_room {
            match open(entry, address, options)? {
                Found::Busy => {}
                found => return Ok(found),
            }
        }
    }
    let keys = numbers.map(|number| Key::further(endpoint, Role::Publish, number));
    let oldest = keys.filter_map(|key| {
        let (address, used) = oldest(pool.entries.get(&key)?)?;
        Some((used, key, address))
    });
    let Some((_, key, old)) = oldest.min_by_key(|(used, ..)| *used) else {
        return Ok(Found::Busy);
    };
    let Some(entry) = pool.entries.get_mut(&key) else {
        return Ok(Found::Busy);
    };
    if let Some((link, _)) = entry.senders.remove(&old) {
        link.close();
    }
    open(entry, address, options)
}

fn open(entry: &mut Entry, address: &Option<String>, options: SenderOptions) -> Result<Found> {
    match SenderLink::open(&entry.connection, address.as_deref(), options) {
        Ok(link) => {
            let kept = (link.clone(), Instant::now());
            entry.senders.insert(address.clone(), kept);
            Ok(Found::Link(link))
        }
        Err(error) if error.is(Condition::ALL_IN_USE) => Ok(Found::Busy),
        Err(error) => Err(error),
    }
}

/// The least recently used sender with nothing in flight.
fn oldest(entry: &Entry) -> Option<(Option<String>, Instant)> {
    let idle = entry.senders.iter().filter(|(_, (link, _))| link.is_idle());
    let oldest = idle.min_by_key(|(_, (_, used))| *used);
    oldest.map(|(address, (_, used))| (address.clone(), *used))
}
