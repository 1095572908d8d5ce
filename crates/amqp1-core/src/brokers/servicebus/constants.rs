//! What is particular to Service Bus, in one place: names, figures, limits.
//!
//! Taken from Microsoft's documentation and from what Microsoft's SDKs send and expect.

use std::time::Duration;

/// The node that takes tokens.
pub(crate) const CBS: &str = "$cbs";

/// The name of an entity's management node, after the entity and a slash.
pub(crate) const MANAGEMENT: &str = "$management";

/// The name of an entity's dead-letter queue, after the entity and a slash.
pub(crate) const DEAD_LETTER_QUEUE: &str = "$DeadLetterQueue";

/// How long a token signed by us is good. The SDKs sign for an hour.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// A token signed by us is renewed when so much of its life is left, in parts of one hundred.
pub(crate) const RENEW_AT_PERCENT: u32 = 10;

/// A token that the application gives is asked for again when so much of its life is left:
/// that can be done during the application's own calls only.
pub(crate) const ASK_AT_PERCENT: u32 = 50;

/// The type of a token `SharedAccessSignature …`.
pub(crate) const SAS_TOKEN: &str = "servicebus.windows.net:sastoken";

/// The type of any other token (Entra ID).
pub(crate) const JWT: &str = "jwt";

/// Annotation: when a lock ends (timestamp).
pub(crate) const LOCKED_UNTIL: &str = "x-opt-locked-until";

/// Annotation: 0 active, 1 deferred, 2 scheduled (int).
pub(crate) const MESSAGE_STATE: &str = "x-opt-message-state";

/// Annotation: a message's number (long).
pub(crate) const SEQUENCE_NUMBER: &str = "x-opt-sequence-number";

/// Source filter: the session to take, or null for the next free one.
pub(crate) const SESSION_FILTER: &str = "com.microsoft:session-filter";

/// Link property of a session's receiver: when its lock ends (.NET ticks).
pub(crate) const SESSION_LOCKED_UNTIL: &str = "com.microsoft:locked-until-utc";

/// Link property: how long the service may hold an attach (uint, milliseconds).
pub(crate) const TIMEOUT_PROPERTY: &str = "com.microsoft:timeout";

/// How long the service may look for a free session.
pub(crate) const SESSION_WAIT: Duration = Duration::from_secs(60);

/// The same for a call that does not wait.
pub(crate) const SESSION_POLL: Duration = Duration::from_millis(250);

/// Condition of the rejection that moves a message to the dead-letter queue.
pub(crate) const DEAD_LETTER: &str = "com.microsoft:dead-letter";

/// Application property of a dead-lettered message.
pub(crate) const DEAD_LETTER_REASON: &str = "DeadLetterReason";

/// Application property of a dead-lettered message.
pub(crate) const DEAD_LETTER_DESCRIPTION: &str = "DeadLetterErrorDescription";

/// Conditions of a lock that is gone: the message will be delivered again.
pub(crate) const LOCK_LOST: [&str; 4] = [
    "com.microsoft:message-lock-lost",
    "com.microsoft:session-lock-lost",
    "com.microsoft:message-not-found",
    "com.microsoft:session-not-found",
];

/// Another receiver has the session.
pub(crate) const SESSION_TAKEN: &str = "com.microsoft:session-cannot-be-locked";

/// The entity is not of a kind that this can be done with.
pub(crate) const NOT_ALLOWED: &str = "amqp:not-allowed";

/// There is no token for the entity, or none that is good.
pub(crate) const UNAUTHORIZED: &str = "amqp:unauthorized-access";

/// Nothing came in time: no free session, for instance.
pub(crate) const TIMED_OUT: &str = "com.microsoft:timeout";

/// The service asks for a pause.
pub(crate) const SERVER_BUSY: &str = "com.microsoft:server-busy";

/// Conditions that pass: what was refused with one is tried again.
pub(crate) const PASSING: [&str; 7] = [
    SERVER_BUSY,
    TIMED_OUT,
    "com.microsoft:operation-cancelled",
    "amqp:link:detach-forced",
    "amqp:connection:forced",
    "amqp:internal-error",
    "com.microsoft:container-close",
];

/// How often something that failed for a passing reason is tried in all.
pub(crate) const TRIES: u32 = 3;

/// The pause before the first retry; each next one is twice as long.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(800);

/// The longest pause.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pause before the first retry when the service is busy.
pub(crate) const BUSY_PAUSE: Duration = Duration::from_secs(10);

/// `message-format` of a transfer with many messages.
pub(crate) const BATCH_FORMAT: u32 = 0x8001_3700;

/// The largest batch, in bytes, whatever a link's limit for one message.
pub(crate) const MAX_BATCH: usize = 1024 * 1024;

/// Messages in one batch at the most.
pub(crate) const MAX_BATCH_MESSAGES: usize = 1000;

/// Messages of one peek.
pub(crate) const PEEK: i32 = 250;

/// Messages that a count looks at, at the most.
pub(crate) const MAX_COUNT: u64 = 10_000;

/// The longest lock that the service gives: what a clock that goes wrong is cut to.
pub(crate) const LONGEST_LOCK: Duration = Duration::from_secs(300);
