//! How a connection can end without an orderly close.

use std::fmt;
use std::io;

/// Why [`Broker::serve`](crate::Broker::serve) did not end with an orderly close. The broker itself
/// keeps working.
#[derive(Debug)]
pub enum Error {
    /// Reading or writing failed; `UnexpectedEof` if the peer went away without a close.
    Io(io::Error),
    /// Negotiation failed: protocol header, SASL or open. The text says why.
    Negotiation(String),
    /// The broker closed the connection with this AMQP error: condition and description.
    Closed(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(e) => write!(f, "the connection was lost: {e}"),
            Self::Negotiation(reason) => write!(f, "the connection was not opened: {reason}"),
            Self::Closed(reason) => write!(f, "the broker closed the connection: {reason}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(e) => Some(e),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}
