//! Why a method fails.

use amqp1_core::{Error, ErrorKind};

use crate::exceptions;

/// Why a method does not return its value.
#[derive(Debug)]
pub enum Fail {
    /// A failure of the client: the exception class of its kind.
    Core(Error),
    /// A parameter of the wrong type: PHP's own `TypeError`.
    Type(String),
    /// A call that no program means: PHP's own `Error`.
    Misuse(String),
    /// Some jobs of a batch failed.
    Batch(exceptions::BatchFailure),
    /// A PHP exception is pending already and goes on as it is.
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
    /// A [`ErrorKind::Config`] failure.
    pub fn config(message: impl AsRef<str>) -> Self {
        Fail::Core(Error::config(message))
    }

    /// A value of ours that PHP does not take: nothing a caller can do about it.
    pub fn internal(error: ext_php_rs::error::Error) -> Self {
        Fail::Core(Error::serialization(error.to_string()))
    }

    /// Whether a wait was ended by the time limit alone, with no exception.
    pub fn is_interruption(&self) -> bool {
        matches!(self, Fail::Core(error) if error.kind() == ErrorKind::Interrupted)
    }
}
