//! Where a message carries the `babelqueue` format's properties. Peers with other protocols read
//! them there.

/// The location of the properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum PropertyMapping {
    /// As JMS is mapped to AMQP 1.0: `x-opt-jms-type`, `bq_*` strings.
    #[default]
    Jms,
    /// Annotations, which 0-9-1 peers see as properties and headers.
    Annotations,
    /// `subject` and typed `bq-*` application properties.
    Typed,
}
