//! The way from a wing to the broker as it is now.

use std::sync::Arc;

use super::companion::Companion;
use crate::base::wait::Wait;
use crate::error::{Error, Result};
use crate::settings::spec::Spec;

/// A queue's way to its broker. What outlives its connection, as a lock on a job does, goes over today's.
pub(crate) trait Reach {
    /// The queue.
    fn spec(&self) -> &Spec;

    /// The companion of today's connection to consume over, which is dialled again where it was lost.
    ///
    /// # Errors
    /// Connection, Authentication, Timeout; Unsupported for a broker without a companion.
    fn companion(&self, wait: &Wait<'_>) -> Result<Arc<dyn Companion>>;

    /// The broker found a token expired, before we did: true when another one can be had, and is the next time.
    fn renews_token(&self, error: &Error) -> bool;
}
