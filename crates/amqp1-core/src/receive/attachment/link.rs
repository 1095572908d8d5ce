//! A receiver link that a consumer shares with the jobs taken from it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::OnceLock;
use std::time::Duration;

use crate::base::fork;
use crate::base::wait::Wait;
use crate::brokers::seams::companion::holding::Holding;
use crate::brokers::Dialect;
use crate::connection::ReceiverLink;
use crate::error::Result;
use crate::format::history::Ledger;
use crate::reach::definition::Definition;
use crate::settings::retry::{Redelivery, RetryOptions};

/// A link that closes when its consumer and all jobs taken from it are gone, so that jobs can be
/// settled after their consumer is dropped.
#[derive(Debug)]
pub(crate) struct SharedLink {
    pub(super) link: ReceiverLink,
    pub(super) generation: u64,
    pub dialect: &'static dyn Dialect,
    /// The meaning of its deliveries' counts.
    pub ledger: Ledger,
    /// Whether jobs that came back without an outcome are handed out one at a time.
    pub is_careful: bool,
    /// Set once a copy failed: jobs near the broker's delivery limit are then no longer replaced by
    /// copies.
    pub keeps_worn: AtomicBool,
    /// The broker's address of the queue.
    pub address: String,
    /// How its failed jobs are handled.
    pub retry: RetryOptions,
    /// Determined when the first job is returned.
    pub(super) redelivery: OnceLock<Redelivery>,
    /// Whether rejected jobs are dead-lettered. Determined when the first one is.
    pub keeps_rejected: OnceLock<bool>,
    /// After how long the broker takes a job back, if the options determine it.
    pub timeout: Option<Duration>,
    /// The broker's locks, if it has any.
    pub holding: Option<Box<dyn Holding>>,
    /// Unsettled deferred jobs: they did not come over the link, but end with its session.
    pub deferred: AtomicU32,
}

impl SharedLink {
    /// Whether this process opened it.
    pub fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }

    /// The unsettled jobs that PHP holds.
    pub fn in_hand(&self) -> u32 {
        self.held() + self.deferred.load(Ordering::Relaxed)
    }

    /// How the broker handles returned jobs of this queue.
    pub fn redelivery(&self, definition: &Definition, wait: &Wait<'_>) -> Result<Redelivery> {
        if let Some(known) = self.redelivery.get() {
            return Ok(*known);
        }
        let remote = self.link.remote();
        let found = match self.dialect.redelivery(remote, None) {
            Some(found) => found,
            None => {
                let queue_type = definition.queue_type(wait)?;
                let found = self.dialect.redelivery(remote, queue_type.as_deref());
                found.unwrap_or(Redelivery::Uncounted)
            }
        };
        Ok(*self.redelivery.get_or_init(|| found))
    }

    /// Stops renewing its locks, because the link has ended or is released.
    pub fn leave(&self) {
        if let Some(holding) = &self.holding {
            holding.leave();
        }
    }
}

impl std::ops::Deref for SharedLink {
    type Target = ReceiverLink;

    fn deref(&self) -> &ReceiverLink {
        &self.link
    }
}

impl Drop for SharedLink {
    fn drop(&mut self) {
        // A child tears down neither its parent's link nor the holding with its locks.
        if !self.is_ours() {
            std::mem::forget(self.holding.take());
            return;
        }
        self.leave();
        self.link.close();
    }
}
