//! Names, conditions and numbers of Azure Service Bus that no standard defines.
//!
//! The service cannot run on a developer's machine. Every value that was taken from its
//! documentation or from its SDKs' code, and could prove wrong, is therefore defined here, once.
//!
//! The same caution applies to this behaviour, implemented elsewhere:
//!
//! - When a link goes, its messages stay locked until their locks expire. A link with a session
//!   releases both, and the deliveries are not counted (`Queue::remove_consumer`). When a session's
//!   lock expires, they are counted (`Queue::tick`).
//! - A dead letter keeps its sequence number and its delivery count (`Queue::bury`). A scheduled
//!   message gets a new number when it is due (`Namespace::deliver`).
//! - A dead-lettering is confirmed by a `rejected` without an error (`connection::settling`).
//! - `released` returns a message without counting the delivery.
//! - A message that was forwarded too often goes to the dead letters of the entity that it has
//!   reached (`Namespace::bury`).
//! - A deferred message whose lock expires stays deferred (`Queue::unlock`), and expires like any
//!   other (`Queue::tick`).
//! - An expired token detaches the links of its entity with `amqp:unauthorized-access`, but does
//!   not close the connection (`connection::idle`).
//! - `get-message-sessions` for an entity without sessions, and rule operations on anything but a
//!   subscription, fail with `amqp:not-allowed` (`management::sessions`, `management::rules`).
//! - A session's requests need its lock, but not necessarily the link that holds it
//!   (`management::sessions`).

/// Error conditions by name: first the standard's, then the service's own (see "AMQP errors in
/// Azure Service Bus" in its documentation). Peers get them as text, whoever defined them.
pub(crate) mod condition {
    pub(crate) const CONNECTION_FORCED: &str = "amqp:connection:forced";
    pub(crate) const CONNECTION_FRAMING_ERROR: &str = "amqp:connection:framing-error";
    pub(crate) const DECODE_ERROR: &str = "amqp:decode-error";
    pub(crate) const INVALID_FIELD: &str = "amqp:invalid-field";
    pub(crate) const LINK_DETACH_FORCED: &str = "amqp:link:detach-forced";
    pub(crate) const LINK_MESSAGE_SIZE_EXCEEDED: &str = "amqp:link:message-size-exceeded";
    pub(crate) const NOT_ALLOWED: &str = "amqp:not-allowed";
    pub(crate) const NOT_FOUND: &str = "amqp:not-found";
    pub(crate) const NOT_IMPLEMENTED: &str = "amqp:not-implemented";
    pub(crate) const RESOURCE_LIMIT_EXCEEDED: &str = "amqp:resource-limit-exceeded";
    pub(crate) const UNAUTHORIZED_ACCESS: &str = "amqp:unauthorized-access";

    pub(crate) const SERVER_BUSY: &str = "com.microsoft:server-busy";
    pub(crate) const TIMEOUT: &str = "com.microsoft:timeout";
    pub(crate) const MESSAGE_LOCK_LOST: &str = "com.microsoft:message-lock-lost";
    pub(crate) const SESSION_LOCK_LOST: &str = "com.microsoft:session-lock-lost";
    pub(crate) const SESSION_CANNOT_BE_LOCKED: &str = "com.microsoft:session-cannot-be-locked";
    pub(crate) const MESSAGE_NOT_FOUND: &str = "com.microsoft:message-not-found";
    pub(crate) const ARGUMENT_ERROR: &str = "com.microsoft:argument-error";
    pub(crate) const ALREADY_EXISTS: &str = "com.microsoft:entity-already-exists";
}

/// The delivery annotation, an AMQP uuid, that carries the lock token of a message in an answer.
pub(crate) const LOCK_TOKEN: &str = "x-opt-lock-token";

/// Message annotations.
pub(crate) mod annotation {
    pub(crate) const SCHEDULED_ENQUEUE_TIME: &str = "x-opt-scheduled-enqueue-time";
    pub(crate) const ENQUEUED_TIME: &str = "x-opt-enqueued-time";
    pub(crate) const SEQUENCE_NUMBER: &str = "x-opt-sequence-number";
    pub(crate) const ENQUEUE_SEQUENCE_NUMBER: &str = "x-opt-enqueue-sequence-number";
    pub(crate) const LOCKED_UNTIL: &str = "x-opt-locked-until";
    pub(crate) const MESSAGE_STATE: &str = "x-opt-message-state";
    pub(crate) const DEAD_LETTER_SOURCE: &str = "x-opt-deadletter-source";
    /// Annotations that only the service may set: a client's are dropped.
    pub(crate) const OWN: [&str; 6] = [
        ENQUEUED_TIME,
        SEQUENCE_NUMBER,
        ENQUEUE_SEQUENCE_NUMBER,
        LOCKED_UNTIL,
        MESSAGE_STATE,
        DEAD_LETTER_SOURCE,
    ];
}

/// Application properties of a dead-lettered message, and the service's own reasons.
pub(crate) mod dead_letter {
    pub(crate) const REASON: &str = "DeadLetterReason";
    pub(crate) const DESCRIPTION: &str = "DeadLetterErrorDescription";
    pub(crate) const MAX_DELIVERY_COUNT: (&str, &str) = (
        "MaxDeliveryCountExceeded",
        "Message could not be consumed after the maximum number of delivery attempts.",
    );
    pub(crate) const NO_SESSION: (&str, &str) = (
        "Session id is null",
        "Session enabled entity doesn't allow a message whose session identifier is null.",
    );
    pub(crate) const TOO_MANY_HOPS: (&str, &str) = (
        "MaxTransferHopCountExceeded",
        "The maximum number of allowed hops when forwarding between queues has been exceeded.",
    );
    pub(crate) const EXPIRED: (&str, &str) = (
        "TTLExpiredException",
        "The message expired and was dead lettered.",
    );
}

/// Names of links' filters and properties.
pub(crate) mod link {
    pub(crate) const SESSION_FILTER: &str = "com.microsoft:session-filter";
    pub(crate) const TIMEOUT: &str = "com.microsoft:timeout";
    pub(crate) const LOCKED_UNTIL: &str = "com.microsoft:locked-until-utc";
}

/// Descriptor codes of a subscription's rules.
pub(crate) mod rule {
    pub(crate) const DESCRIPTION: u64 = 0x0137_0000_0004;
    pub(crate) const EMPTY_ACTION: u64 = 0x0137_0000_0005;
    pub(crate) const SQL_ACTION: u64 = 0x0137_0000_0006;
    pub(crate) const SQL_FILTER: u64 = 0x0013_7000_0006;
    pub(crate) const TRUE_FILTER: u64 = 0x0013_7000_0007;
    pub(crate) const FALSE_FILTER: u64 = 0x0013_7000_0008;
    pub(crate) const CORRELATION_FILTER: u64 = 0x0013_7000_0009;
}

/// Values of `x-opt-message-state`.
pub(crate) mod state {
    pub(crate) const ACTIVE: i32 = 0;
    pub(crate) const DEFERRED: i32 = 1;
    pub(crate) const SCHEDULED: i32 = 2;
}

/// The message-format of a batch: data sections, each with one encoded message.
pub(crate) const BATCH_FORMAT: u32 = 0x8001_3700;

/// How long a receiver waits for the next session unless it specifies a time, in milliseconds.
pub(crate) const SESSION_WAIT: u64 = 65_000;

/// From this `last-updated-time` on (the end of .NET's calendar, Unix milliseconds),
/// `get-message-sessions` returns the sessions that have messages or a state; before it, those
/// whose state was set since that time.
pub(crate) const ALL_SESSIONS: i64 = 253_402_300_799_999;

/// The product in the open; the service's own open has none. It differs from the other dialect's
/// product, so that clients do not mistake one for the other.
pub(crate) const PRODUCT: &str = "amqp1-broker (Service Bus dialect)";

/// Limits in the service's open.
pub(crate) const MAX_FRAME_SIZE: u32 = 65_536;
pub(crate) const CHANNEL_MAX: u16 = 4_999;
pub(crate) const SESSION_WINDOW: u32 = 5_000;
pub(crate) const HANDLE_MAX: u32 = 255;
/// Credit of a sending link.
pub(crate) const SENDER_CREDIT: u32 = 1_000;

/// Handling of a message that is too large. If true, its delivery is rejected with
/// `amqp:link:message-size-exceeded` and the link stays; if false, the link is detached with that
/// error. Python's SDK reports the error to its caller only for a rejected delivery.
pub(crate) const TOO_LARGE_IS_REJECTED: bool = true;

/// The longest message-id or session-id, in characters.
pub(crate) const MAX_ID: usize = 128;
/// The largest application property, and the limit for all of them together, in bytes.
pub(crate) const MAX_PROPERTY: usize = 32 * 1024;
pub(crate) const MAX_PROPERTIES: usize = 64 * 1024;
/// How often a message may be forwarded from entity to entity.
pub(crate) const MAX_FORWARDS: u32 = 4;

/// Python's SDK also calls a shared access signature `jwt`.
pub(crate) const TOKEN_TYPES: [&str; 3] = ["servicebus.windows.net:sastoken", "jwt", "amqp:jwt"];

/// 1970-01-01 in .NET ticks: 100 ns units since the year 1.
const UNIX_EPOCH_TICKS: i64 = 621_355_968_000_000_000;

/// Converts Unix milliseconds to .NET ticks.
pub(crate) fn ticks(ms: u64) -> i64 {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    ms.saturating_mul(10_000).saturating_add(UNIX_EPOCH_TICKS)
}
