//! The meaning of the service's refusals, and which are temporary.

use std::time::Duration;

use super::constants::{
    BUSY_PAUSE, FIRST_PAUSE, LONGEST_PAUSE, PASSING, SERVER_BUSY, SESSION_TAKEN, TRIES,
};
use crate::error::condition;
use crate::error::{Error, ErrorKind};

/// Whether a refusal with this condition is temporary and worth another try.
pub(crate) fn passes(condition: &str) -> bool {
    PASSING.contains(&condition) || condition == SESSION_TAKEN
}

/// The pause before another try, after `tries` that failed with `condition`; `None` if no further
/// try makes sense.
pub(crate) fn pause(condition: Option<&str>, tries: u32) -> Option<Duration> {
    let condition = condition?;
    if tries >= TRIES || !PASSING.contains(&condition) {
        return None;
    }
    let factor = 2u32.saturating_pow(tries.saturating_sub(1));
    let pause = (FIRST_PAUSE * factor).min(LONGEST_PAUSE);
    let busy = condition == SERVER_BUSY && tries <= 1;
    Some(if busy { BUSY_PAUSE } else { pause })
}

/// The error for an answer's status.
pub(crate) fn of_status(
    what: &str,
    status: u16,
    condition: Option<&str>,
    description: &str,
) -> Error {
    let by_condition = condition.map(condition::kind);
    let kind = match (by_condition, status) {
        // An unknown condition counts as a connection error; then the status says more.
        (Some(kind), _) if kind != ErrorKind::Connection => kind,
        (_, 401 | 403) => ErrorKind::Authentication,
        (_, 404) => ErrorKind::QueueNotFound,
        (_, 410) => ErrorKind::TaskLost,
        (_, 400 | 409 | 413) => ErrorKind::Rejected,
        (_, 501) => ErrorKind::Unsupported,
        _ => ErrorKind::Connection,
    };
    let name = condition.unwrap_or("no condition");
    let error = Error::new(
        kind,
        format!("{what}: status {status}, {name}: {description}"),
    );
    match condition {
        Some(condition) => error.with_condition(condition),
        None if status == 503 => error.with_condition(SERVER_BUSY),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_service_is_left_alone_for_longer() {
        assert_eq!(pause(Some(SERVER_BUSY), 1), Some(BUSY_PAUSE));
        let busy = pause(Some(SERVER_BUSY), 2);
        assert_eq!(busy, Some(Duration::from_millis(1600)));
        assert_eq!(pause(Some(SERVER_BUSY), TRIES), None);
        let timeout = pause(Some("com.microsoft:timeout"), 1);
        assert_eq!(timeout, Some(Duration::from_millis(800)));
    }

    #[test]
    fn what_does_not_pass_is_not_tried_again() {
        for condition in [
            "amqp:not-found",
            "amqp:not-allowed",
            "amqp:unauthorized-access",
            "amqp:not-implemented",
            "amqp:resource-limit-exceeded",
            "amqp:link:message-size-exceeded",
            "amqp:decode-error",
            "com.microsoft:message-lock-lost",
            "com.microsoft:session-lock-lost",
            "com.microsoft:argument-error",
        ] {
            assert!(!passes(condition), "{condition}");
            assert_eq!(pause(Some(condition), 1), None, "{condition}");
        }
        assert_eq!(pause(None, 1), None);
        for condition in PASSING {
            assert!(passes(condition));
        }
    }

    #[test]
    fn a_status_is_an_error_of_its_kind() {
        let of = |status, condition| of_status("x", status, condition, "d").kind();
        assert_eq!(of(410, None), ErrorKind::TaskLost);
        assert_eq!(of(401, None), ErrorKind::Authentication);
        assert_eq!(of(404, None), ErrorKind::QueueNotFound);
        let found = of(404, Some("com.microsoft:message-not-found"));
        assert_eq!(found, ErrorKind::TaskLost);
        let quota = of(403, Some("amqp:resource-limit-exceeded"));
        assert_eq!(quota, ErrorKind::Rejected);
        let busy = of_status("x", 503, None, "d");
        assert_eq!(busy.condition(), Some(SERVER_BUSY));
    }
}
