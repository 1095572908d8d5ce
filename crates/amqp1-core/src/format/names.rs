//! Names of application properties and annotations: our own, those of the formats, and brokers'.

use super::envelope::{PARTITION_KEY, ROUTING_KEY_HEADER};
use super::history;

/// ActiveMQ's application property that counts attempts, as text.
pub(super) const ATTEMPTS_TEXT: &str = "bq_attempts";

/// The application properties of the `babelqueue` format.
pub(super) const BABELQUEUE: [&str; 7] = [
    "bq-schema-version",
    "bq-source-lang",
    "bq-created-at",
    "bq_schema_version",
    "bq_source_lang",
    ATTEMPTS_TEXT,
    "bq_app_id",
];

/// Whether an application property is part of a failure, ours or Service Bus's.
pub(super) fn is_failure(name: &[u8]) -> bool {
    name.starts_with(b"rr_failed_")
        || name == b"DeadLetterReason"
        || name == b"DeadLetterErrorDescription"
}

/// Names that belong to the envelope: a caller's header never overwrites one, and none of them is
/// read as a header.
pub(super) fn is_ours(name: &[u8]) -> bool {
    name.starts_with(b"rr_")
        || name == b"x-delay"
        || name == ROUTING_KEY_HEADER.as_bytes()
        || is_failure(name)
        || BABELQUEUE.iter().any(|known| known.as_bytes() == name)
}

/// Whether this is one of the broker's own annotations, or belongs to a delay that has passed. A
/// copy has neither.
pub(super) fn is_brokers_annotation(name: &[u8]) -> bool {
    const NAMES: [&str; 21] = [
        history::FAILED,
        history::RELEASED,
        history::RETURNED,
        "x-opt-deaths",
        "x-death",
        "x-exchange",
        "x-routing-key",
        // Copies to further routing keys, which were already made.
        "x-cc",
        "x-delivery-count",
        "x-acquired-count",
        "x-opt-enqueued-time",
        "x-opt-sequence-number",
        "x-opt-enqueue-sequence-number",
        "x-opt-locked-until",
        "x-opt-message-state",
        "x-opt-deadletter-source",
        "x-opt-rabbitmq-received-time",
        "x-delay",
        "x-opt-scheduled-enqueue-time",
        "x-opt-delivery-time",
        "x-opt-delivery-delay",
    ];
    name.starts_with(b"x-first-death-")
        || name.starts_with(b"x-last-death-")
        || NAMES.iter().any(|known| known.as_bytes() == name)
}

/// Annotations that the `babelqueue` format owns, wherever they would make a message look like one.
const BABELQUEUE_ANNOTATIONS: [&str; 3] = ["x-schema-version", "x-source-lang", "x-attempts"];

/// Annotations of which the `babelqueue` format sets its own, and other formats none.
pub(super) const TYPE_ANNOTATIONS: [&str; 2] = ["x-basic-type", "x-opt-jms-type"];

/// Why a job may not set the annotation with this name; `None` if it may.
pub(super) fn why_reserved(name: &str) -> Option<&'static str> {
    match name {
        _ if !name.starts_with("x-") => {
            Some("its name must begin with 'x-': AMQP 1.0 reserves all other names")
        }
        _ if !name.is_ascii() || name.len() > 255 => {
            Some("its name must be ASCII of at most 255 bytes")
        }
        PARTITION_KEY => Some("use the option 'partition_key'"),
        "x-routing-key" => Some("use the option 'routing_key'"),
        "x-delay"
        | "x-opt-scheduled-enqueue-time"
        | "x-opt-delivery-time"
        | "x-opt-delivery-delay" => Some("use the option 'delay'"),
        "x-cc" => Some("bind several queues to the exchange instead"),
        _ if BABELQUEUE_ANNOTATIONS.contains(&name) => {
            Some("it belongs to the format 'babelqueue'")
        }
        _ if name.starts_with("x-opt-amqp1-") => Some("this extension sets it"),
        _ if is_brokers_annotation(name.as_bytes()) => Some("the broker sets it"),
        _ => None,
    }
}
