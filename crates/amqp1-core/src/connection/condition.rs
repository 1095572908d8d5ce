//! AMQP error conditions (2.8.15–2.8.18, and brokers' own) → our error kinds.

use fe2o3_amqp_types::definitions as amqp;

use crate::brokers::servicebus::refusal;
use crate::error::{Error, ErrorKind};
use crate::wire::read::{Reader, Value};

/// AMQP's conditions that say no: whoever asks again is told the same. Every other one, as
/// an internal error or a forced detach, passes, and is worth another try.
const REFUSALS: [(&str, ErrorKind); 13] = [
    ("amqp:not-found", ErrorKind::QueueNotFound),
    ("amqp:resource-deleted", ErrorKind::QueueNotFound),
    ("amqp:unauthorized-access", ErrorKind::Authentication),
    ("amqp:precondition-failed", ErrorKind::Rejected),
    ("amqp:resource-limit-exceeded", ErrorKind::Rejected),
    // A queue that is exclusive to another connection.
    ("amqp:resource-locked", ErrorKind::Rejected),
    ("amqp:invalid-field", ErrorKind::Rejected),
    ("amqp:decode-error", ErrorKind::Rejected),
    ("amqp:link:message-size-exceeded", ErrorKind::Rejected),
    ("amqp:frame-size-too-small", ErrorKind::Rejected),
    ("amqp:not-allowed", ErrorKind::Unsupported),
    ("amqp:not-implemented", ErrorKind::Unsupported),
    ("amqp:link:redirect", ErrorKind::Unsupported),
];

/// The condition of a session that was given up because its begin was not answered.
pub(crate) const BEGIN_UNANSWERED: &str = "amqp1:begin-unanswered";

/// The condition of a link or a session that cannot be had as the connection has no free one.
pub(crate) const ALL_IN_USE: &str = "amqp1:sessions-in-use";

/// For what finds no free session.
pub(crate) fn all_in_use(label: &str) -> Error {
    Error::connection(format!(
        "{label}: all of the connection's sessions are in use"
    ))
    .with_condition(ALL_IN_USE)
}

/// The kind of failure that a condition means; [`ErrorKind::Connection`] if it passes.
pub(crate) fn kind(condition: &str) -> ErrorKind {
    if let Some(kind) = refusal::kind(condition) {
        return kind;
    }
    let mut refusals = REFUSALS.iter();
    let found = refusals.find(|(name, _)| *name == condition);
    found.map_or(ErrorKind::Connection, |(_, kind)| *kind)
}

/// The broker gave a reason that will be the same the next time.
pub(crate) fn lasts(error: &Error) -> bool {
    let condition = error.condition();
    condition.is_some_and(|condition| kind(condition) != ErrorKind::Connection)
}

/// Why a connection is over that the broker closed. It is lost, whatever the reason, which may
/// be another job's or another link's; but who may not use it, may not.
pub(crate) fn explain_close(label: &str, error: Option<&amqp::Error>) -> Error {
    let error = explain(&format!("{label} closed the connection"), error);
    match error.kind() {
        ErrorKind::Authentication => error,
        _ => error.of_kind(ErrorKind::Connection),
    }
}

/// `condition: description` of an AMQP error, as one typed error.
pub(crate) fn explain(what: &str, error: Option<&amqp::Error>) -> Error {
    let Some(error) = error else {
        return Error::connection(format!("{what}, without a reason"));
    };
    let name = name(&error.condition);
    let description = error.description.as_deref().unwrap_or("no description");
    Error::new(kind(&name), format!("{what}: {name}: {description}")).with_condition(&name)
}

/// The symbol of a condition: the types crate has no accessor for it.
fn name(condition: &amqp::ErrorCondition) -> String {
    let bytes = serde_amqp::to_vec(condition).unwrap_or_default();
    match Reader::new(&bytes).value() {
        Ok(Value::Symbol(name)) => name.to_owned(),
        _ => "amqp:internal-error".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_keep_their_names_and_kinds() {
        let standard = amqp::Error::new(amqp::AmqpError::NotFound, Some("no queue".into()), None);
        let error = explain("attach refused", Some(&standard));
        assert_eq!(error.kind(), ErrorKind::QueueNotFound);
        assert_eq!(error.condition(), Some("amqp:not-found"));
        assert_eq!(error.message(), "attach refused: amqp:not-found: no queue");
        let custom = amqp::Error::new(
            amqp::ErrorCondition::Custom("com.microsoft:server-busy".into()),
            None,
            None,
        );
        assert_eq!(explain("x", Some(&custom)).kind(), ErrorKind::Connection);
    }
}
