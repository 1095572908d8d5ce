//! Where our failures become PHP's.

use amqp1_core::{Error, ErrorKind};
use ext_php_rs::class::RegisteredClass;
use ext_php_rs::exception::{PhpException, PhpResult};
use ext_php_rs::zend::ce;

use crate::{engine, exceptions};

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
    /// PHP is bailing out (fatal error, memory limit); see [`engine::guarded`].
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

    /// Whether a wait was ended by the time limit alone, with no exception.
    pub fn is_interruption(&self) -> bool {
        matches!(self, Fail::Core(error) if error.kind() == ErrorKind::Interrupted)
    }
}

/// [`run`] for a constructor. PHP lets it be called on an object that has been made, whose
/// connections, jobs and waits it would put another's in place of.
///
/// # Errors
/// As [`run`]; an `Error` for an object that has been made.
pub fn construct<T: RegisteredClass>(
    method: &str,
    body: impl FnOnce() -> Result<T, Fail>,
) -> PhpResult<T> {
    run(|| match engine::is_constructed::<T>() {
        true => Err(Fail::Misuse(format!(
            "Amqp1\\{method} was called before on this object: make another one with new"
        ))),
        false => body(),
    })
}

/// Runs the body of a method. Everything the body owns is dropped when a
/// failure is thrown, so that a bailout has nothing of ours to jump over.
///
/// # Errors
/// The exception, already pending in the engine.
pub fn run<T>(body: impl FnOnce() -> Result<T, Fail>) -> PhpResult<T> {
    let fail = match body() {
        Ok(value) => return Ok(value),
        Err(fail) => fail,
    };
    match fail {
        Fail::Core(error) => exceptions::throw(&error),
        Fail::Type(message) => PhpException::new(message, 0, ce::type_error()).throw(),
        Fail::Misuse(message) => PhpException::new(message, 0, ce::error()).throw(),
        Fail::Batch(failure) => exceptions::throw_batch(failure),
        Fail::Pending => {}
        Fail::Bailout => engine::resume_bailout(),
    }
    // Never thrown: `PhpException::throw` gives way to the pending exception.
    Err(PhpException::from_message(String::new()))
}
