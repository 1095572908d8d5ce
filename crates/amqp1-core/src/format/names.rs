//! Names of application properties: our own, and those of the formats.

use super::envelope::ROUTING_KEY_HEADER;

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
