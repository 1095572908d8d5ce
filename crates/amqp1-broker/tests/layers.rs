//! Which files of the broker may name which.
#![allow(clippy::unwrap_used)]

#[path = "../../layers.rs"]
mod layers;

use layers::Rules;

const RULES: Rules = Rules {
    src: concat!(env!("CARGO_MANIFEST_DIR"), "/src"),
    floors: &[
        ("lib.rs", 9),
        ("main.rs", 9),
        ("args", 9),
        ("broker.rs", 8),
        ("options.rs", 7),
        ("rabbitmq/mod.rs", 6),
        ("rabbitmq/served.rs", 6),
        ("rabbitmq/connection/", 5),
        ("rabbitmq/management/", 4),
        ("rabbitmq/", 3),
        ("servicebus/mod.rs", 6),
        ("servicebus/served.rs", 6),
        ("servicebus/connection/", 5),
        ("servicebus/management/", 4),
        ("servicebus/", 3),
        ("served.rs", 2),
        ("amqp/", 1),
        ("wire/", 0),
        ("clock.rs", 0),
        ("error.rs", 0),
        ("tls.rs", 0),
    ],
    strangers: &["rabbitmq/", "servicebus/"],
    forbidden: &[],
    allowed: &[
        (
            "rabbitmq/connection/incoming.rs",
            "rabbitmq/connection/session.rs",
        ),
        (
            "rabbitmq/connection/outgoing.rs",
            "rabbitmq/connection/session.rs",
        ),
        (
            "rabbitmq/connection/session.rs",
            "rabbitmq/connection/incoming.rs",
        ),
        (
            "rabbitmq/connection/session.rs",
            "rabbitmq/connection/outgoing.rs",
        ),
        (
            "servicebus/connection/idle.rs",
            "servicebus/connection/session.rs",
        ),
        (
            "servicebus/connection/incoming.rs",
            "servicebus/connection/session.rs",
        ),
        (
            "servicebus/connection/opening.rs",
            "servicebus/connection/session.rs",
        ),
        (
            "servicebus/connection/outgoing.rs",
            "servicebus/connection/session.rs",
        ),
        (
            "servicebus/connection/outgoing.rs",
            "servicebus/connection/settling.rs",
        ),
        (
            "servicebus/connection/requests.rs",
            "servicebus/connection/incoming.rs",
        ),
        (
            "servicebus/connection/requests.rs",
            "servicebus/connection/session.rs",
        ),
        (
            "servicebus/connection/session.rs",
            "servicebus/connection/outgoing.rs",
        ),
        (
            "servicebus/connection/session.rs",
            "servicebus/connection/requests.rs",
        ),
        (
            "servicebus/connection/session.rs",
            "servicebus/connection/settling.rs",
        ),
        (
            "servicebus/connection/settling.rs",
            "servicebus/connection/session.rs",
        ),
    ],
};

#[test]
fn names_point_downward() {
    layers::check(&RULES);
}
