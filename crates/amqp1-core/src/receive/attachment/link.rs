//! A receiver link that a consumer and the jobs taken from it share.

use std::sync::atomic::AtomicBool;
use std::sync::OnceLock;

use crate::base::fork;
use crate::base::wait::Wait;
use crate::brokers::seams::companion::holding::Holding;
use crate::brokers::Dialect;
use crate::connection::ReceiverLink;
use crate::error::Result;
use crate::format::history::Ledger;
use crate::reach::definition::Definition;
use crate::settings::retry::{Redelivery, RetryOptions};

/// A link that is closed when neither its consumer nor a job taken from it is
/// there any more: jobs in hand can be settled after their consumer is gone.
#[derive(Debug)]
pub(crate) struct SharedLink {
    pub(super) link: ReceiverLink,
    pub(super) generation: u64,
    pub dialect: &'static dyn Dialect,
    /// What its deliveries' counts tell.
    pub ledger: Ledger,
    /// What came back without a word is handed out alone.
    pub is_careful: bool,
    /// No copy takes the place of what the broker will soon move away: it failed once.
    pub keeps_worn: AtomicBool,
    /// The broker's address of the queue.
    pub address: String,
    /// What becomes of its jobs that fail.
    pub retry: RetryOptions,
    /// Asked for when the first job is given back.
    pub(super) redelivery: OnceLock<Redelivery>,
    /// The broker's locks, where it has such.
    pub holding: Option<Box<dyn Holding>>,
}

impl SharedLink {
    /// Made by this process.
    pub fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }

    /// What the broker does about jobs of this queue that are given back.
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

    /// It is over, or let go.
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
        // A parent's link is not torn down by its child, nor is what holds its locks.
        if !self.is_ours() {
            std::mem::forget(self.holding.take());
            return;
        }
        self.leave();
        self.link.close();
    }
}
