//! The RabbitMQ 4 brokers in the environment, by the rules of the PHP tests
//! (tests/Support/Brokers.php): `AMQP1_TEST_RABBITMQ_40` and `_43`, or the user's own in
//! `AMQP1_TEST_RABBITMQ`; `AMQP1_TEST_BROKERS` selects some of them.

use std::io::Write;
use std::sync::Once;

/// A name and a DSN.
pub type RabbitMq = (&'static str, String);

/// Each requested broker. If one is missing, the test fails under `scripts/test` and CI; a bare
/// `cargo test` skips it and says so.
pub fn rabbitmq() -> Vec<RabbitMq> {
    let (found, missing) = look(|name| std::env::var(name).ok());
    if !missing.is_empty() {
        static SAID: Once = Once::new();
        // Not `eprintln`, because the output of a passing test is discarded.
        SAID.call_once(|| {
            let _ = writeln!(std::io::stderr(), "LEFT OUT: {}", missing.join(", "));
        });
    }
    found
}

fn look(variable: impl Fn(&str) -> Option<String>) -> (Vec<RabbitMq>, Vec<String>) {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let all: &[_] = if set("AMQP1_TEST_RABBITMQ").is_some() {
        &[("rabbitmq", "AMQP1_TEST_RABBITMQ")]
    } else {
        &[
            ("rabbitmq-4.0", "AMQP1_TEST_RABBITMQ_40"),
            ("rabbitmq-4.3", "AMQP1_TEST_RABBITMQ_43"),
        ]
    };
    let named = set("AMQP1_TEST_BROKERS");
    let required = named.is_some()
        || ["AMQP1_TEST_REQUIRE_BROKERS", "CI"]
            .into_iter()
            .any(|name| set(name).is_some());
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for &(name, from) in all {
        let wanted = named
            .as_deref()
            .is_none_or(|named| named.split(',').any(|one| one.trim() == name));
        match set(from) {
            _ if !wanted => {}
            Some(dsn) => found.push((name, dsn)),
            None => missing.push(format!("{name} ({from} is not set)")),
        }
    }
    assert!(
        missing.is_empty() || !required,
        "wanted, and not there: {}. `make brokers-up`, then eval \"$(scripts/brokers env)\"",
        missing.join(", ")
    );
    (found, missing)
}

#[cfg(test)]
mod tests {
    use super::look;

    /// The names of the available brokers, and how many are missing.
    fn with(environment: &[(&str, &str)]) -> (Vec<&'static str>, usize) {
        let (found, missing) = look(|name| {
            let (_, value) = environment.iter().find(|(key, _)| *key == name)?;
            Some((*value).to_owned())
        });
        (found.iter().map(|(name, _)| *name).collect(), missing.len())
    }

    const NEWEST: (&str, &str) = ("AMQP1_TEST_RABBITMQ_43", "amqp://h:2");

    #[test]
    fn a_bare_cargo_test_does_without() {
        assert_eq!(with(&[]), (vec![], 2));
        assert_eq!(with(&[("CI", ""), NEWEST]), (vec!["rabbitmq-4.3"], 1));
    }

    #[test]
    #[should_panic(expected = "rabbitmq-4.0 (AMQP1_TEST_RABBITMQ_40 is not set")]
    fn ci_does_not() {
        with(&[("CI", "true"), NEWEST]);
    }

    #[test]
    #[should_panic(expected = "rabbitmq-4.0")]
    fn nor_does_make_test() {
        with(&[("AMQP1_TEST_REQUIRE_BROKERS", "1"), NEWEST]);
    }

    #[test]
    #[should_panic(expected = "rabbitmq-4.0")]
    fn nor_who_names_it() {
        with(&[("AMQP1_TEST_BROKERS", "embedded, rabbitmq-4.0"), NEWEST]);
    }

    #[test]
    fn a_part_of_the_brokers_is_enough_when_they_are_named() {
        let ci = ("CI", "true");
        let newest = ("AMQP1_TEST_BROKERS", "program, rabbitmq-4.3");
        assert_eq!(with(&[ci, newest, NEWEST]), (vec!["rabbitmq-4.3"], 0));
        let none = ("AMQP1_TEST_BROKERS", "embedded");
        assert_eq!(with(&[ci, none, NEWEST]), (vec![], 0));
        let own = ("AMQP1_TEST_RABBITMQ", "amqp://own");
        assert_eq!(with(&[ci, own]), (vec!["rabbitmq"], 0));
    }
}
