//! All durations and counts of our retries. [`crate::reach`] describes how the retries are nested.

use std::time::Duration;

/// A connection was lost during a call, which reconnects. Before jitter. Only the call's deadline
/// limits it.
pub(crate) const AFTER_LOSS: Duration = Duration::from_millis(50);

/// The longest single attempt to reconnect: a silent peer must not use up the time for all
/// attempts.
pub(crate) const DIAL_ATTEMPT: Duration = Duration::from_secs(10);

/// Links to a broker's own node ended during a request, but the connection is open. Before jitter.
pub(crate) const NODE: Duration = Duration::from_millis(40);
/// Attempts of that kind after the first.
pub(crate) const NODE_TRIES: u32 = 8;

/// All sessions of a connection are in use, including those about to end.
pub(crate) const NO_SESSION: Duration = Duration::from_millis(5);

/// A job was lost on its way: the pause before each resend from the second on, per earlier resend.
pub(crate) const RESEND_STEP: Duration = Duration::from_millis(20);
/// The longest of these pauses, in steps.
pub(crate) const RESEND_STEPS: u32 = 50;

/// A queue declared no longer ago than this may refuse jobs without a reason.
pub(crate) const FRESH: Duration = Duration::from_secs(5);
/// How often such a job is sent again.
pub(crate) const FRESH_TRIES: u32 = 8;

/// An attach was refused for a temporary reason: after a restart, a queue is not ready at once.
pub(crate) const ATTACH: Duration = Duration::from_millis(250);
/// How often it is retried even after the call's deadline.
pub(crate) const ATTACH_TRIES: u32 = 8;

/// A consumer's links broke soon after they were attached, see [`super::backoff`]. The pause is
/// short, because other queues wait in the meantime.
pub(crate) const LONGEST_REATTACH: Duration = Duration::from_secs(1);

/// How long a consumer ignores a queue that it could not attach to, while it serves others: at
/// first, and after many attempts.
pub(crate) const REST: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
