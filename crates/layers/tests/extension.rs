//! The PHP layer translates and the core decides: this test checks which file of the extension
//! names which, and which words neither may contain. It is here because tests inside the extension
//! would have to link PHP.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use layers::{Rules, Sources};

/// The lowest floor first; `src/lib.rs` lists them from the top.
const FLOORS: &[&[&str]] = &[
    &["exceptions"],
    &["fail"],
    &["engine"],
    &["convert"],
    &["callbacks"],
    &["call"],
    &["settings"],
    &["classes"],
    &["module"],
    &["lib"],
];

/// The core's own business.
const PROTOCOL: &[&str] = &[
    "amqp1_core::wire",
    "performative",
    "tokio",
    "std::net",
    "TcpStream",
    "rabbitmq",
    "servicebus",
    "service_bus",
    "activemq",
    "artemis",
];

/// Rooms that use the engine's C API. So does php.ini, but its entries belong to the settings.
const UNSAFE: &[&str] = &["exceptions", "engine", "module"];

#[test]
fn the_php_layer_names_no_protocol_and_points_downward() {
    let rooms = || FLOORS.iter().map(|floor| floor[0]);
    let safe = rooms().filter(|room| !UNSAFE.contains(room));
    let forbidden: Vec<_> = rooms()
        .map(|room| (room, PROTOCOL))
        .chain(safe.map(|room| (room, &["unsafe"][..])))
        .collect();
    let rules = Rules {
        floors: FLOORS,
        forbidden: &forbidden,
        allowed: &[],
        // The option `token` belongs to Service Bus, and its type to the core.
        allowed_words: &[("callbacks/token", 2), ("settings/ini", 4)],
        in_circles: 0,
    };
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src");
    let faults = layers::faults(&src, &rules).unwrap();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_core_names_no_php() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../amqp1-core/src");
    let sources = Sources::read(&src).unwrap();
    let is_php = |line: &&str| {
        let line = line.to_lowercase();
        ["php", "zend", "zval"]
            .iter()
            .any(|word| line.contains(word))
    };
    for (file, code) in sources.code() {
        let named: Vec<_> = code.lines().filter(is_php).collect();
        assert!(named.is_empty(), "{file}: {named:?}");
    }
}
