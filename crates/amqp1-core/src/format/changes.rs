//! How a copy differs from its original.

use std::borrow::Cow;
use std::time::Duration;

use super::envelope::DelayMark;
use crate::job::failure::FailureFacts;
use crate::job::HeaderValue;

/// The id of a job whose copy has a different message-id.
pub(super) const MESSAGE_ID: &str = "rr_message_id";

/// The change to a message's failure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FailureChange<'a> {
    /// Unchanged.
    Keep,
    /// Removed, for a replay.
    Forget,
    /// Replaced with this one.
    Set(&'a FailureFacts),
}

/// The differences between a copy and its original.
#[derive(Debug, Clone)]
pub(crate) struct Changes<'a> {
    /// Another message-id, because a broker with duplicate detection would drop the copy. The job's
    /// id does not change.
    pub message_id: Option<&'a str>,
    /// The address of this message on an anonymous sender, in place of its own `to`.
    pub to: Option<&'a str>,
    /// Whether its own `to` is more than the address on an anonymous sender.
    pub keeps_to: bool,
    /// Whether the copy is sent by a user whose name its user-id may be.
    pub keeps_user_id: bool,
    pub delay: Duration,
    pub delay_mark: DelayMark,
    /// Set in the header; without it, the copy lives as long as its queue allows.
    pub ttl: Option<Duration>,
    /// absolute-expiry-time, Unix milliseconds.
    pub expires_at: Option<i64>,
    /// Deliveries before the copy's first one.
    pub attempts: u32,
    /// How many of these ended without an outcome.
    pub lost: u32,
    /// Why it was released, replacing the reason of an earlier time.
    pub reason: Option<&'a str>,
    /// Added or replaced.
    pub headers: &'a [(Cow<'a, str>, HeaderValue<'a>)],
    pub failure: FailureChange<'a>,
}

impl Default for Changes<'_> {
    fn default() -> Self {
        Self {
            message_id: None,
            to: None,
            keeps_to: false,
            keeps_user_id: false,
            delay: Duration::ZERO,
            delay_mark: DelayMark::None,
            ttl: None,
            expires_at: None,
            attempts: 0,
            lost: 0,
            reason: None,
            headers: &[],
            failure: FailureChange::Keep,
        }
    }
}

impl Changes<'_> {
    /// Whether the copy's failure differs from the original's.
    pub(super) fn touches_failure(&self) -> bool {
        !matches!(self.failure, FailureChange::Keep)
    }
}
