//! AMQP error conditions (2.8.15–2.8.18, and brokers' own) → our error kinds.

use fe2o3_amqp_types::definitions as amqp;

use crate::error::{Error, ErrorKind};
use crate::servicebus::refusal;
use crate::wire::read::{Reader, Value};

/// The kind of failure that a condition means.
pub(crate) fn kind(condition: &str) -> ErrorKind {
    if let Some(kind) = refusal::kind(condition) {
        return kind;
    }
    match condition {
        "amqp:not-found" | "amqp:resource-deleted" => ErrorKind::QueueNotFound,
        "amqp:unauthorized-access" => ErrorKind::Authentication,
        "amqp:resource-limit-exceeded"
        | "amqp:link:message-size-exceeded"
        | "amqp:precondition-failed"
        // A queue that is exclusive to another connection.
        | "amqp:resource-locked"
        | "amqp:invalid-field"
        | "amqp:decode-error" => ErrorKind::Rejected,
        "amqp:not-implemented" | "amqp:not-allowed" => ErrorKind::Unsupported,
        _ => ErrorKind::Connection,
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
