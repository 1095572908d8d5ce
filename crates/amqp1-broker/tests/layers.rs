//! Checks that the broker's files name only files below them, and no dialect the other. See
//! CONTRIBUTING.md.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use layers::Rules;

/// The lowest layer first. A file belongs to the longest prefix of its path.
const FLOORS: &[&[&str]] = &[
    &["clock", "error", "tls"],
    &["wire"],
    &["amqp"],
    &["served"],
    &["rabbitmq", "servicebus"],
    &["rabbitmq/management", "servicebus/management"],
    &["rabbitmq/connection", "servicebus/connection"],
    &["rabbitmq/mod", "servicebus/mod"],
    &["options"],
    &["broker"],
    &["lib"],
    &["main", "args", "signals"],
];

const DIALECTS: &[&str] = &["rabbitmq", "service_bus", "servicebus"];

const FORBIDDEN: &[(&str, &[&str])] = &[
    ("amqp", DIALECTS),
    ("broker", DIALECTS),
    ("served", DIALECTS),
    ("wire", DIALECTS),
    ("rabbitmq", &["service_bus", "servicebus"]),
    ("servicebus", &["rabbitmq"]),
];

#[test]
fn names_point_downward() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rules = Rules {
        floors: FLOORS,
        forbidden: FORBIDDEN,
        allowed: &[],
        allowed_words: &[],
        in_circles: 0,
    };
    let faults = layers::faults(&src, &rules).unwrap();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
