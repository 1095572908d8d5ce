//! Where the `babelqueue` format's properties are in a message: peers of other protocols read them there.

/// Where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum PropertyMapping {
    /// As JMS is mapped to AMQP 1.0: `x-opt-jms-type`, `bq_*` strings.
    #[default]
    Jms,
    /// Annotations that are properties and headers to 0-9-1 peers.
    Annotations,
    /// `subject` and typed `bq-*` application properties.
    Typed,
}
