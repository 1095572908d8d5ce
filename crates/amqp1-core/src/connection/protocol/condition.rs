//! Converts the broker's error conditions to our errors.

use fe2o3_amqp_types::definitions as amqp;

use crate::error::condition::{kind, Condition};
use crate::error::{Error, ErrorKind};
use crate::wire::read::{Reader, Value};

/// The error if no session is free.
pub(crate) fn all_in_use(label: &str) -> Error {
    let what = format!("{label}: all of the connection's sessions are in use");
    Error::connection(what).with_condition(Condition::ALL_IN_USE.as_str())
}

/// The error when the broker has closed the connection. It counts as lost, whatever the reason,
/// which may concern another job or link. Only an authentication error stays one.
pub(crate) fn explain_close(label: &str, error: Option<&amqp::Error>) -> Error {
    let error = explain(&format!("{label} closed the connection"), error);
    match error.kind() {
        ErrorKind::Authentication => error,
        _ => error.of_kind(ErrorKind::Connection),
    }
}

/// `condition: description` of an AMQP error, as a typed error.
pub(crate) fn explain(what: &str, error: Option<&amqp::Error>) -> Error {
    let Some(error) = error else {
        return Error::connection(format!("{what} without giving a reason"));
    };
    let name = name(&error.condition);
    let description = error.description.as_deref().unwrap_or("no description");
    Error::new(kind(&name), format!("{what}: {name}: {description}")).with_condition(&name)
}

/// The symbol of a condition, for which the types crate has no accessor.
fn name(condition: &amqp::ErrorCondition) -> String {
    let bytes = serde_amqp::to_vec(condition).unwrap_or_default();
    match Reader::new(&bytes).value() {
        Ok(Value::Symbol(name)) => name.to_owned(),
        _ => Condition::INTERNAL_ERROR.as_str().to_owned(),
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
