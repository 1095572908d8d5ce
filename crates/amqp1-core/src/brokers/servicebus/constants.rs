//! Everything specific to Service Bus in one place: names, numbers, limits.
//!
//! They come from Microsoft's documentation and from what Microsoft's SDKs send and expect.

use std::time::Duration;

/// The node that accepts tokens.
pub(crate) const CBS: &str = "$cbs";

/// The name of an entity's management node, after the entity and a slash.
pub(crate) const MANAGEMENT: &str = "$management";

/// The name of an entity's dead-letter queue, after the entity and a slash.
pub(crate) const DEAD_LETTER_QUEUE: &str = "$DeadLetterQueue";

/// The lifetime of tokens that we sign. The SDKs also use an hour.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// The remaining part of its lifetime, in percent, at which a token that we signed is renewed.
pub(crate) const RENEW_AT_PERCENT: u32 = 10;

/// The remaining part of its lifetime, in percent, at which the application is asked for a new
/// token. It can be asked only during its own calls, so this is earlier.
pub(crate) const ASK_AT_PERCENT: u32 = 50;

/// The token type of `SharedAccessSignature …`.
pub(crate) const SAS_TOKEN: &str = "servicebus.windows.net:sastoken";

/// The token type of any other token (Entra ID).
pub(crate) const JWT: &str = "jwt";

/// Annotation: when a lock ends (timestamp).
pub(crate) const LOCKED_UNTIL: &str = "x-opt-locked-until";

/// Annotation: 0 active, 1 deferred, 2 scheduled (int).
pub(crate) const MESSAGE_STATE: &str = "x-opt-message-state";

/// Annotation: a message's number (long).
pub(crate) const SEQUENCE_NUMBER: &str = "x-opt-sequence-number";

/// Source filter: the session to receive from, or null for the next free one.
pub(crate) const SESSION_FILTER: &str = "com.microsoft:session-filter";

/// Link property of a session's receiver: when its lock ends (.NET ticks).
pub(crate) const SESSION_LOCKED_UNTIL: &str = "com.microsoft:locked-until-utc";

/// Link property: how long the service may delay the answer to an attach (uint, milliseconds).
pub(crate) const TIMEOUT_PROPERTY: &str = "com.microsoft:timeout";

/// How long the service may look for a free session.
pub(crate) const SESSION_WAIT: Duration = Duration::from_secs(60);

/// The same, for a call that does not wait.
pub(crate) const SESSION_POLL: Duration = Duration::from_millis(250);

/// The condition of a rejection that moves a message to the dead-letter queue.
pub(crate) const DEAD_LETTER: &str = "com.microsoft:dead-letter";

/// Application property of a dead-lettered message.
pub(crate) const DEAD_LETTER_REASON: &str = "DeadLetterReason";

/// Application property of a dead-lettered message.
pub(crate) const DEAD_LETTER_DESCRIPTION: &str = "DeadLetterErrorDescription";

/// Conditions of a lost lock: the message will be delivered again.
pub(crate) const LOCK_LOST: [&str; 4] = [
    "com.microsoft:message-lock-lost",
    "com.microsoft:session-lock-lost",
    "com.microsoft:message-not-found",
    "com.microsoft:session-not-found",
];

/// Another receiver holds the session.
pub(crate) const SESSION_TAKEN: &str = "com.microsoft:session-cannot-be-locked";

/// The operation does not apply to this kind of entity.
pub(crate) const NOT_ALLOWED: &str = "amqp:not-allowed";

/// There is no valid token for the entity.
pub(crate) const UNAUTHORIZED: &str = "amqp:unauthorized-access";

/// Nothing happened in time; for example, no session became free.
pub(crate) const TIMED_OUT: &str = "com.microsoft:timeout";

/// The service asks for a pause.
pub(crate) const SERVER_BUSY: &str = "com.microsoft:server-busy";

/// Temporary conditions: an operation refused with one is retried.
pub(crate) const PASSING: [&str; 7] = [
    SERVER_BUSY,
    TIMED_OUT,
    "com.microsoft:operation-cancelled",
    "amqp:link:detach-forced",
    "amqp:connection:forced",
    "amqp:internal-error",
    "com.microsoft:container-close",
];

/// The total number of attempts, if the reason is temporary.
pub(crate) const TRIES: u32 = 3;

/// The pause before the first retry; each further pause is twice as long.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(800);

/// The longest pause.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pause before the first retry if the service is busy.
pub(crate) const BUSY_PAUSE: Duration = Duration::from_secs(10);

/// `message-format` of a transfer with many messages.
pub(crate) const BATCH_FORMAT: u32 = 0x8001_3700;

/// The largest batch, in bytes, even if a link allows larger messages.
pub(crate) const MAX_BATCH: usize = 1024 * 1024;

/// The most messages in one batch.
pub(crate) const MAX_BATCH_MESSAGES: usize = 1000;

/// The most messages that a count peeks at.
pub(crate) const MAX_COUNT: u64 = 10_000;

/// The longest lock that the service grants. A longer one results from a wrong clock and is reduced
/// to this.
pub(crate) const LONGEST_LOCK: Duration = Duration::from_secs(300);
