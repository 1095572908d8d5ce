//! `Amqp1\PendingReply`.

use std::time::Instant;

use ext_php_rs::flags::ClassFlags;
use ext_php_rs::prelude::*;

use super::reply::Reply;
use crate::call::{blocking, run};
use crate::fail::Fail;

/// A request that was sent, and whose reply may still come.
#[php_class]
#[php(name = "Amqp1\\PendingReply")]
#[php(flags = ClassFlags::Final.union(ClassFlags::NoDynamicProperties))]
#[derive(Debug)]
pub struct PendingReply {
    pending: amqp1_core::PendingReply,
}

impl From<amqp1_core::PendingReply> for PendingReply {
    fn from(pending: amqp1_core::PendingReply) -> Self {
        Self { pending }
    }
}

impl PendingReply {
    /// Waits for the reply.
    ///
    /// # Errors
    /// It does not come in time; it cannot come any more; the wait is interrupted.
    pub fn wait(&self) -> Result<Reply, Fail> {
        let left = self.pending.deadline();
        let left = left.saturating_duration_since(Instant::now());
        blocking(left, |wait| self.pending.wait(wait)).map(Reply::from)
    }
}

#[php_impl]
impl PendingReply {
    /// Queues create them; PHP code cannot.
    #[php(vis = "private")]
    pub fn __construct() -> PhpResult<Self> {
        Err("Amqp1\\PendingReply cannot be created with new: Amqp1\\AmqpQueue::requestAsync() returns them".into())
    }

    /// The request's id.
    pub fn get_id(&self) -> String {
        self.pending.id().to_owned()
    }

    /// Whether `get()` would return, or throw, at once.
    pub fn is_ready(&self) -> bool {
        !matches!(self.pending.look(), Ok(None))
    }

    /// Waits for the reply.
    pub fn get(&self) -> PhpResult<Reply> {
        run(|| self.wait())
    }
}
