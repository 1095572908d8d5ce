//! The table of all errors.
//!
//! Every failure of the client is an [`Error`] of one [`ErrorKind`]. The PHP layer maps the kind to
//! an exception class and adds nothing to the message, which therefore names the queue and the
//! endpoint (never a secret) and says what to do next.

pub(crate) mod condition;

use std::fmt;
use std::sync::Arc;

/// The kinds of failure, as a PHP developer distinguishes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// An invalid option, DSN or configuration, found before anything is sent.
    Config,
    /// The broker cannot be reached, or the connection was lost.
    Connection,
    /// The broker refused the credentials or the access.
    Authentication,
    /// The deadline has passed; the outcome is unknown.
    Timeout,
    /// The broker refused the job (`rejected`, queue full, too large).
    Rejected,
    /// No queue is bound for the routing key (`released`).
    Unroutable,
    /// The queue or exchange does not exist.
    QueueNotFound,
    /// The delivery was lost with its connection or lock: it will be delivered again.
    TaskLost,
    /// The broker does not support the request.
    Unsupported,
    /// A payload that cannot be encoded or decoded.
    Serialization,
    /// The interrupt check asked the call to return (a signal handler threw).
    Interrupted,
}

impl ErrorKind {
    /// All kinds, in the order of the documentation.
    pub const ALL: [ErrorKind; 11] = [
        ErrorKind::Config,
        ErrorKind::Connection,
        ErrorKind::Authentication,
        ErrorKind::Timeout,
        ErrorKind::Rejected,
        ErrorKind::Unroutable,
        ErrorKind::QueueNotFound,
        ErrorKind::TaskLost,
        ErrorKind::Unsupported,
        ErrorKind::Serialization,
        ErrorKind::Interrupted,
    ];

    /// A short lower-case name, as used in batch failures and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Config => "config",
            ErrorKind::Connection => "connection",
            ErrorKind::Authentication => "authentication",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Rejected => "rejected",
            ErrorKind::Unroutable => "unroutable",
            ErrorKind::QueueNotFound => "queue-not-found",
            ErrorKind::TaskLost => "task-lost",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Serialization => "serialization",
            ErrorKind::Interrupted => "interrupted",
        }
    }
}

/// A failure: its kind, and a message for the person who reads the log.
///
/// Cheap to clone, because one lost connection fails many waiting jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: Arc<str>,
    condition: Option<Arc<str>>,
}

impl Error {
    /// Creates an error of `kind`. The message should name its subject.
    pub fn new(kind: ErrorKind, message: impl AsRef<str>) -> Self {
        Self {
            kind,
            message: Arc::from(message.as_ref()),
            condition: None,
        }
    }

    /// Adds the AMQP condition that caused the error, for example `amqp:not-found`.
    #[must_use]
    pub fn with_condition(mut self, condition: &str) -> Self {
        self.condition = Some(Arc::from(condition));
        self
    }

    /// Changes the kind.
    #[must_use]
    pub(crate) fn of_kind(self, kind: ErrorKind) -> Self {
        Self { kind, ..self }
    }

    /// Puts `prefix: ` before the message, unless the message begins with the prefix.
    #[must_use]
    pub fn context(self, prefix: impl fmt::Display) -> Self {
        let prefix = prefix.to_string();
        let said = self.message.strip_prefix(&prefix);
        if said.is_some_and(|rest| rest.starts_with(": ") || rest.starts_with(' ')) {
            return self;
        }
        Self {
            message: Arc::from(prefix + ": " + &self.message),
            ..self
        }
    }

    /// The error's kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The whole message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The AMQP error condition, if the broker sent one.
    #[must_use]
    pub fn condition(&self) -> Option<&str> {
        self.condition.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        impl Error {
            $($(#[$doc])*
            pub fn $name(message: impl AsRef<str>) -> Self {
                Self::new(ErrorKind::$kind, message)
            })*
        }
    };
}

constructors! {
    /// [`ErrorKind::Config`].
    config => Config;
    /// [`ErrorKind::Connection`].
    connection => Connection;
    /// [`ErrorKind::Authentication`].
    authentication => Authentication;
    /// [`ErrorKind::Timeout`].
    timeout => Timeout;
    /// [`ErrorKind::Rejected`].
    rejected => Rejected;
    /// [`ErrorKind::Unroutable`].
    unroutable => Unroutable;
    /// [`ErrorKind::QueueNotFound`].
    queue_not_found => QueueNotFound;
    /// [`ErrorKind::TaskLost`].
    task_lost => TaskLost;
    /// [`ErrorKind::Unsupported`].
    unsupported => Unsupported;
    /// [`ErrorKind::Serialization`].
    serialization => Serialization;
    /// [`ErrorKind::Interrupted`].
    interrupted => Interrupted;
}

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_is_about_is_said_once() {
        let error = Error::config("no")
            .context("queue 'q'")
            .context("queue 'q'");
        assert_eq!(error.message(), "queue 'q': no");
        let missing = Error::config("queue 'q' at embedded://x does not exist")
            .context("queue 'q' at embedded://x");
        assert_eq!(
            missing.message(),
            "queue 'q' at embedded://x does not exist"
        );
        assert_eq!(error.context("push()").message(), "push(): queue 'q': no");
    }
}
