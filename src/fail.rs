//! Why a method fails.

use amqp1_core::{Error, ErrorKind};

use crate::exceptions;

/// Why a method returns no value.
#[derive(Debug)]
pub enum Fail {
    /// A failure of the client, thrown as the exception class of its kind.
    Core(Error),
    /// A parameter of the wrong type, thrown as PHP's own `TypeError`.
    Type(String),
    /// A programming error, thrown as PHP's own `Error`.
    Misuse(String),
    /// Some jobs of a batch failed.
    Batch(exceptions::BatchFailure),
    /// A PHP exception is already pending and stays unchanged.
    Pending,
    /// PHP is bailing out (fatal error, memory limit); see [`crate::engine::guarded`].
    Bailout,
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Fail::Core(error)
    }
}

impl Fail {
    /// A failure of kind [`ErrorKind::Config`].
    pub fn config(message: impl AsRef<str>) -> Self {
        Fail::Core(Error::config(message))
    }

    /// PHP refuses one of our values; the caller cannot prevent it.
    pub fn internal(error: ext_php_rs::error::Error) -> Self {
        Fail::Core(Error::serialization(error.to_string()))
    }

    /// Whether only the time limit ended a wait, without an exception.
    pub fn is_interruption(&self) -> bool {
        matches!(self, Fail::Core(error) if error.kind() == ErrorKind::Interrupted)
    }
}
