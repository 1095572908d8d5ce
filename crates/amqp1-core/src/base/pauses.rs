//! How long, and how often, before something is tried again: all such figures of ours in one place. Which attempt wraps
//! which is told in [`crate::reach`].

use std::time::Duration;

/// A connection was lost under a call, which dials again. Before jitter. No limit but the call's deadline.
pub(crate) const AFTER_LOSS: Duration = Duration::from_millis(50);

/// One attempt to dial a lost connection again may take so long: a silent peer must not use up the time of all.
pub(crate) const DIAL_ATTEMPT: Duration = Duration::from_secs(10);

/// Links to a broker's own node ended under a request, while the connection stands. Before jitter.
pub(crate) const NODE: Duration = Duration::from_millis(40);
/// Attempts of that kind beside the first.
pub(crate) const NODE_TRIES: u32 = 8;

/// All sessions of a connection are in use, those included that are about to end.
pub(crate) const NO_SESSION: Duration = Duration::from_millis(5);

/// A job was lost on its way: so long for each time that it was sent again, from the second on.
pub(crate) const RESEND_STEP: Duration = Duration::from_millis(20);
/// The longest of these pauses, in steps.
pub(crate) const RESEND_STEPS: u32 = 50;

/// A job was refused without a reason by a queue that was declared no longer ago than this.
pub(crate) const FRESH: Duration = Duration::from_secs(5);
/// How often it is sent again for that.
pub(crate) const FRESH_TRIES: u32 = 8;

/// An attach was refused for a passing reason: a queue is not ready at once after a restart.
pub(crate) const ATTACH: Duration = Duration::from_millis(250);
/// How often that is done even if the call's time is over.
pub(crate) const ATTACH_TRIES: u32 = 8;

/// Links of a consumer broke soon after they were had, see [`super::backoff`]: no longer than this, as other queues wait
/// meanwhile.
pub(crate) const LONGEST_REATTACH: Duration = Duration::from_secs(1);

/// A queue of a consumer could not be had: for so long it is left alone while others are served, at first, and after
/// many attempts.
pub(crate) const REST: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
