//! Checks which file may name which: imports point only downward. See CONTRIBUTING.md.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use layers::Rules;

/// The lowest floor first. A file belongs to the room with the longest prefix of its path.
const FLOORS: &[&[&str]] = &[
    &["error"],
    &["base"],
    &["wire"],
    &["job"],
    &["format"],
    &["connection/protocol"],
    &["settings"],
    &["connection"],
    &["brokers/seams"],
    &["brokers/generic", "brokers/tools"],
    &["brokers/activemq", "brokers/rabbitmq", "brokers/servicebus"],
    &["brokers"],
    &["reach"],
    &["publish"],
    &["receive"],
    &["queue"],
    &["failed_queue", "request"],
    &["config", "log", "metrics", "testing"],
    &["lib", "fuzzing"],
];

const BROKERS: &[&str] = &[
    "rabbitmq",
    "service_bus",
    "servicebus",
    "activemq",
    "artemis",
    "qpid",
];

const FORBIDDEN: &[(&str, &[&str])] = &[
    ("base", BROKERS),
    ("wire", BROKERS),
    ("job", BROKERS),
    ("format", BROKERS),
    ("connection", BROKERS),
    ("reach", BROKERS),
    ("publish", BROKERS),
    ("receive", BROKERS),
    ("queue", BROKERS),
    ("failed_queue", BROKERS),
    ("request", BROKERS),
    (
        "connection/protocol",
        &["tokio::net", "std::net", "Instant::now", "SystemTime::now"],
    ),
];

#[test]
fn names_point_downward() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rules = Rules {
        floors: FLOORS,
        forbidden: FORBIDDEN,
        allowed: ALLOWED,
        allowed_words: WORDS,
        in_circles: 0,
    };
    let faults = layers::faults(&src, &rules).unwrap();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Names that still point upward. This list may only shrink, and must finally be empty.
const ALLOWED: &[&str] = &[];

/// Files that still name brokers, and how often. This list may only shrink, and must finally be
/// empty.
const WORDS: &[(&str, usize)] = &[];
