//! What is done to a queue besides sending and receiving, where that is not RabbitMQ's
//! management node.

use crate::base::wait::Wait;
use crate::connection::{Ask, Connection, Question, Scout};
use crate::error::Result;
use crate::settings::options::QueueOptions;

/// The queue that is looked after.
pub(crate) struct Subject<'a> {
    pub queue: &'a str,
    /// Its address.
    pub address: &'a str,
    pub options: &'a QueueOptions,
    pub connection: &'a Connection,
    /// What links to it ask for.
    pub asks: Ask,
}

impl Subject<'_> {
    /// Asks by attaching.
    ///
    /// # Errors
    /// What the broker refused it with.
    pub fn ask(&self, question: Question<'_>, wait: &Wait<'_>) -> Result<()> {
        let scout = Scout::open(self.connection)?;
        let answered = scout.ask(question, self.asks, wait);
        scout.close();
        answered
    }
}

/// Figures of one queue; `None` where the broker does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Can be delivered now.
    pub ready: u64,
    /// Wait for their time.
    pub delayed: Option<u64>,
    /// Delivered and not settled.
    pub reserved: Option<u64>,
    /// Consumers attached.
    pub consumers: Option<u64>,
}

/// A broker's own way to look after queues.
pub(crate) trait Administration: std::fmt::Debug + Send + Sync {
    /// Makes the queue if it is missing.
    ///
    /// # Errors
    /// Unsupported when it cannot be a queue.
    fn setup(&self, subject: &Subject<'_>, wait: &Wait<'_>) -> Result<()>;

    /// Removes the jobs of the queue; returns how many.
    ///
    /// # Errors
    /// QueueNotFound; Unsupported where the broker cannot.
    fn purge(&self, subject: &Subject<'_>, wait: &Wait<'_>) -> Result<u64>;

    /// # Errors
    /// QueueNotFound; Unsupported where the broker does not tell.
    fn figures(&self, subject: &Subject<'_>, wait: &Wait<'_>) -> Result<Figures>;
}
