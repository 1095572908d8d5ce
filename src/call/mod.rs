//! What surrounds each method: its failures become PHP's, and its waits hear signals.

mod interrupt;

use ext_php_rs::class::RegisteredClass;
use ext_php_rs::exception::{PhpException, PhpResult};
use ext_php_rs::zend::ce;

use crate::fail::Fail;
use crate::{engine, exceptions};

pub use interrupt::{blocking, ended_by_time_limit, PhpInterrupt, FOR_EVER};

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
            "Amqp1\\{method} has already been called on this object: create another one with new"
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
