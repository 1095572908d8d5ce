//! AMQP error conditions, the standard's (2.8.14 to 2.8.18) and brokers' own, and the kinds of
//! failure that they mean.

use super::{Error, ErrorKind};

/// A condition, by its symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition(&'static str);

impl Condition {
    pub const ILLEGAL_STATE: Self = Self("amqp:illegal-state");
    pub const UNAUTHORIZED_ACCESS: Self = Self("amqp:unauthorized-access");
    pub const NOT_FOUND: Self = Self("amqp:not-found");
    pub const NOT_IMPLEMENTED: Self = Self("amqp:not-implemented");
    pub const DECODE_ERROR: Self = Self("amqp:decode-error");
    pub const INTERNAL_ERROR: Self = Self("amqp:internal-error");
    pub const PRECONDITION_FAILED: Self = Self("amqp:precondition-failed");
    pub const RESOURCE_LOCKED: Self = Self("amqp:resource-locked");
    /// Our own: a session was given up because its begin was not answered.
    pub const BEGIN_UNANSWERED: Self = Self("amqp1:begin-unanswered");
    /// Our own: the connection has no free session.
    pub const ALL_IN_USE: Self = Self("amqp1:sessions-in-use");

    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// Conditions that are permanent: another try would get the same answer. All others, such as an
/// internal error or a forced detach, are temporary and worth another try.
const REFUSALS: [(&str, ErrorKind); 23] = [
    ("amqp:not-found", ErrorKind::QueueNotFound),
    ("amqp:resource-deleted", ErrorKind::QueueNotFound),
    ("amqp:unauthorized-access", ErrorKind::Authentication),
    ("amqp:precondition-failed", ErrorKind::Rejected),
    ("amqp:resource-limit-exceeded", ErrorKind::Rejected),
    // The queue is exclusive to another connection.
    ("amqp:resource-locked", ErrorKind::Rejected),
    ("amqp:invalid-field", ErrorKind::Rejected),
    ("amqp:decode-error", ErrorKind::Rejected),
    ("amqp:link:message-size-exceeded", ErrorKind::Rejected),
    ("amqp:frame-size-too-small", ErrorKind::Rejected),
    ("amqp:not-allowed", ErrorKind::Unsupported),
    ("amqp:not-implemented", ErrorKind::Unsupported),
    ("amqp:link:redirect", ErrorKind::Unsupported),
    // Azure Service Bus: a lock was lost; the message will be delivered again.
    ("com.microsoft:message-lock-lost", ErrorKind::TaskLost),
    ("com.microsoft:session-lock-lost", ErrorKind::TaskLost),
    ("com.microsoft:message-not-found", ErrorKind::TaskLost),
    ("com.microsoft:session-not-found", ErrorKind::TaskLost),
    ("com.microsoft:auth-failed", ErrorKind::Authentication),
    ("com.microsoft:argument-error", ErrorKind::Rejected),
    ("com.microsoft:argument-out-of-range", ErrorKind::Rejected),
    ("com.microsoft:precondition-failed", ErrorKind::Rejected),
    ("com.microsoft:entity-disabled", ErrorKind::Rejected),
    ("com.microsoft:publisher-revoked", ErrorKind::Rejected),
];

/// The kind of failure that a condition means; [`ErrorKind::Connection`] if it is temporary.
pub(crate) fn kind(condition: &str) -> ErrorKind {
    let mut refusals = REFUSALS.iter();
    let found = refusals.find(|(name, _)| *name == condition);
    found.map_or(ErrorKind::Connection, |(_, kind)| *kind)
}

impl Error {
    /// Whether this condition caused the error.
    pub(crate) fn is(&self, condition: Condition) -> bool {
        self.condition() == Some(condition.as_str())
    }

    /// Whether the broker's reason is permanent.
    pub(crate) fn lasts(&self) -> bool {
        let condition = self.condition();
        condition.is_some_and(|condition| kind(condition) != ErrorKind::Connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_worth_another_try() {
        let with = |condition| Error::connection("x").with_condition(condition);
        assert!(with("amqp:not-found").lasts() && with("amqp:not-found").is(Condition::NOT_FOUND));
        assert!(!with("amqp:link:detach-forced").lasts());
        assert!(!with(Condition::ALL_IN_USE.as_str()).lasts());
        assert!(!Error::connection("x").lasts());
        assert_eq!(kind("com.microsoft:session-lock-lost"), ErrorKind::TaskLost);
        assert_eq!(kind("com.microsoft:server-busy"), ErrorKind::Connection);
    }
}
