//! The house: who may name whom. Imports go downward only; CONTRIBUTING.md draws it.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use layers::Rules;

/// The lowest floor first. A file's room is the longest prefix of its path.
const FLOORS: &[&[&str]] = &[
    &["error"],
    &["base"],
    &["wire"],
    &["connection/protocol"],
    &["job"],
    &["format"],
    &["settings"],
    &["connection"],
    &["brokers/dialect", "brokers/administration"],
    &["brokers/generic"],
    &[
        "brokers/activemq",
        "brokers/embedded",
        "brokers/rabbitmq",
        "brokers/servicebus",
    ],
    &["brokers"],
    &["reach"],
    &["publish"],
    &["receive"],
    &["queue"],
    &["failed_queue"],
    &["config"],
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
        in_circles: 60,
    };
    let faults = layers::faults(&src, &rules).unwrap();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Names that still point upward. This list may only shrink, and goes.
const ALLOWED: &[&str] = &[
    "brokers/activemq/artemis -> brokers/mod",
    "brokers/activemq/classic -> brokers/mod",
    "brokers/activemq/control -> brokers/mod",
    "brokers/declare_by_attaching -> reach/live",
    "brokers/declare_by_attaching -> reach/pool",
    "brokers/declare_by_attaching -> reach/pool/declared",
    "brokers/embedded -> brokers/mod",
    "brokers/embedded -> brokers/rabbitmq/address",
    "brokers/generic -> brokers/mod",
    "brokers/rabbitmq/v3 -> brokers/mod",
    "brokers/rabbitmq/v4 -> brokers/mod",
    "brokers/servicebus/facts -> brokers/mod",
    "brokers/servicebus/mod -> reach/pool/service_bus",
    "brokers/servicebus/operations -> brokers/mod",
    "brokers/servicebus/operations -> queue",
    "brokers/servicebus/operations -> reach/live",
    "brokers/servicebus/operations -> reach/pool",
    "brokers/servicebus/session -> receive/consumer",
    "brokers/servicebus/session -> receive/source",
    "brokers/servicebus/settle -> reach/live",
    "brokers/servicebus/settle -> reach/pool",
    "brokers/servicebus/settle -> receive/source",
    "brokers/servicebus/turn -> receive/source",
    "connection/condition -> brokers/servicebus/refusal",
    "connection/fuzzing -> fuzzing",
    "connection/handshake -> brokers/servicebus/access",
    "connection/link -> brokers/servicebus/constants",
    "connection/link -> brokers/servicebus/locks",
    "connection/receiver -> brokers/servicebus/locks",
    "connection/session -> brokers/servicebus/constants",
    "format/babelqueue -> brokers/mod",
    "format/decode -> brokers/mod",
    "format/envelope -> brokers/servicebus/constants",
    "format/fuzzing -> brokers/mod",
    "format/fuzzing -> fuzzing",
    "format/mod -> brokers/mod",
    "publish/batch -> queue",
    "queue -> failed_queue",
    "reach/live -> publish/route",
    "receive/consumer -> queue",
    "receive/delivery -> failed_queue",
    "receive/pull -> queue",
    "receive/source -> failed_queue",
    "settings/endpoint -> brokers/servicebus/access",
    "settings/endpoint -> brokers/servicebus/connection_string",
    "settings/endpoint -> brokers/servicebus/constants",
    "settings/endpoint -> brokers/servicebus/token",
    "settings/options -> brokers/servicebus/token",
];

/// Files that still name brokers, and how often. This list may only shrink, and goes.
const WORDS: &[(&str, usize)] = &[
    ("connection/mod", 1),
    ("connection/condition", 1),
    ("connection/dial", 1),
    ("connection/embedded", 5),
    ("connection/handshake", 2),
    ("connection/link", 10),
    ("connection/receiver", 1),
    ("connection/session", 1),
    ("failed_queue", 5),
    ("format/babelqueue", 6),
    ("format/decode", 1),
    ("format/envelope", 1),
    ("format/fuzzing", 2),
    ("publish/publisher", 7),
    ("publish/publisher/resend", 2),
    ("publish/route", 3),
    ("queue", 7),
    ("reach/live", 12),
    ("reach/pool", 7),
    ("reach/pool/senders", 1),
    ("reach/pool/service_bus", 7),
    ("receive/consumer", 1),
    ("receive/delivery", 6),
    ("receive/delivery/service_bus", 3),
    ("receive/intake", 4),
    ("receive/source", 22),
    ("receive/source/service_bus", 23),
];
