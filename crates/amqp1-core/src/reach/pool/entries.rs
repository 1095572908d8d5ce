//! The entries of the pool: a connection in its slot, with the data kept for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::base::backoff::Lives;
use crate::base::per_process::PerProcess;
use crate::brokers::seams::companion::Companion;
use crate::connection::{Connection, SenderLink};
use crate::error::Error;
use crate::settings::shared_endpoint::SharedEndpoint;

/// The purpose of a connection.
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

/// The condition of a connection that broke soon after it opened, and is not retried yet.
pub(crate) const RESTING: &str = "amqp1:resting";

/// In a child, the parent's connections are neither written to nor shut down.
static POOL: PerProcess<Pool> = PerProcess::new();

#[derive(Default)]
pub(super) struct Pool {
    pub entries: HashMap<Key, Entry>,
}

/// A connection's slot in the pool.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub endpoint: SharedEndpoint,
    pub role: Role,
    /// 0 is the usual connection, the others are for links that do not fit on it.
    pub number: u32,
}

impl Key {
    pub fn usual(endpoint: &SharedEndpoint, role: Role) -> Self {
        Self::further(endpoint, role, 0)
    }

    pub fn further(endpoint: &SharedEndpoint, role: Role, number: u32) -> Self {
        Self {
            endpoint: endpoint.clone(),
            role,
            number,
        }
    }

    pub fn is_of(&self, endpoint: &SharedEndpoint, role: Role) -> bool {
        self.role == role && self.endpoint == *endpoint
    }
}

pub(super) struct Entry {
    pub connection: Connection,
    pub senders: HashMap<Option<String>, (SenderLink, Instant)>,
    pub companion: Option<Arc<dyn Companion>>,
    /// Set if the connection is lost: when any call may retry it.
    pub redial: Option<Redial>,
    pub lives: Lives,
}

/// When a lost connection is retried.
#[derive(Clone, Copy)]
pub(super) struct Redial {
    /// When its loss was noticed.
    pub since: Instant,
    /// No attempt before this time.
    pub from: Instant,
    pub until: Instant,
    /// How many successive ones broke soon after they opened, including the last.
    pub short_lived: u32,
}

/// A lost connection.
pub(super) struct Lost {
    pub error: Error,
    pub redial: Redial,
}

pub(super) fn with_pool<T>(work: impl FnOnce(&mut Pool) -> T) -> T {
    POOL.with(|_| Pool::default(), work)
}

pub(super) fn with_entry<T>(
    endpoint: &SharedEndpoint,
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
