//! Which files of the broker may name which.
#![allow(clippy::unwrap_used)]

#[path = "../../layers.rs"]
mod layers;

use layers::Rules;

const RULES: Rules = Rules {
    src: concat!(env!("CARGO_MANIFEST_DIR"), "/src"),
    floors: &[
        ("lib.rs", 7),
        ("main.rs", 7),
        ("args", 7),
        ("broker.rs", 6),
        ("options.rs", 5),
        ("connection/", 4),
        ("management/", 3),
        ("model/", 2),
        ("servicebus/mod.rs", 5),
        ("servicebus/connection/", 5),
        ("servicebus/management/", 4),
        ("servicebus/shared.rs", 3),
        ("servicebus/", 3),
        ("transport.rs", 2),
        ("wakers.rs", 2),
        ("amqp/", 1),
        ("wire/", 0),
        ("tls.rs", 0),
        ("error.rs", 0),
    ],
    strangers: &[],
    forbidden: &[],
    allowed: &[
        ("amqp/errors.rs", "model/arguments.rs"),
        ("amqp/errors.rs", "model/errors.rs"),
        ("amqp/outbox.rs", "model/consumers.rs"),
        ("amqp/routes.rs", "model/consumers.rs"),
        ("connection/incoming.rs", "connection/session.rs"),
        ("connection/mod.rs", "broker.rs"),
        ("connection/mod.rs", "options.rs"),
        ("connection/outgoing.rs", "connection/session.rs"),
        ("connection/performatives.rs", "broker.rs"),
        ("connection/session.rs", "broker.rs"),
        ("connection/session.rs", "connection/incoming.rs"),
        ("connection/session.rs", "connection/outgoing.rs"),
        ("connection/session.rs", "options.rs"),
        ("management/bindings.rs", "management/request.rs"),
        ("management/exchanges.rs", "management/request.rs"),
        ("management/queues.rs", "management/request.rs"),
        ("servicebus/config/sql.rs", "servicebus/mod.rs"),
        (
            "servicebus/connection/idle.rs",
            "servicebus/connection/session.rs",
        ),
        ("servicebus/connection/idle.rs", "servicebus/mod.rs"),
        (
            "servicebus/connection/incoming.rs",
            "servicebus/connection/session.rs",
        ),
        ("servicebus/connection/mod.rs", "broker.rs"),
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
        (
            "servicebus/management/cbs.rs",
            "servicebus/management/request.rs",
        ),
        (
            "servicebus/management/locks.rs",
            "servicebus/management/request.rs",
        ),
        (
            "servicebus/management/messages.rs",
            "servicebus/management/request.rs",
        ),
        (
            "servicebus/management/messages.rs",
            "servicebus/management/sessions.rs",
        ),
        (
            "servicebus/management/rules.rs",
            "servicebus/management/request.rs",
        ),
        (
            "servicebus/management/sessions.rs",
            "servicebus/management/request.rs",
        ),
        (
            "servicebus/model/namespace/entities.rs",
            "servicebus/mod.rs",
        ),
        (
            "servicebus/model/namespace/publishing.rs",
            "servicebus/mod.rs",
        ),
        ("servicebus/model/queue.rs", "servicebus/mod.rs"),
        ("servicebus/model/queue/receiving.rs", "servicebus/mod.rs"),
        ("servicebus/shared.rs", "broker.rs"),
        ("servicebus/shared.rs", "options.rs"),
        ("transport.rs", "broker.rs"),
        ("transport.rs", "options.rs"),
    ],
};

#[test]
fn names_point_downward() {
    layers::check(&RULES);
}
