//! Surrounds every method: turns its failures into PHP exceptions, and lets signals interrupt its
//! waits.

mod interrupt;

use ext_php_rs::class::RegisteredClass;
use ext_php_rs::exception::{PhpException, PhpResult};
use ext_php_rs::zend::ce;

use crate::engine::interrupts;
use crate::fail::Fail;
use crate::{engine, exceptions};

pub use interrupt::{blocking, ended_by_time_limit, PhpInterrupt, FOR_EVER};

/// [`run`] for a constructor. PHP allows a constructor to be called on an existing object; a second
/// call would replace its connections, jobs and waits.
///
/// # Errors
/// As [`run`]; an `Error` if the object is already constructed.
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

/// Runs the body of a method. Everything that the body owns is dropped before a failure is thrown,
/// so that a bailout does not jump over frames with destructors.
///
/// # Errors
/// The exception, already pending in the engine.
pub fn run<T>(body: impl FnOnce() -> Result<T, Fail>) -> PhpResult<T> {
    interrupts::repeat();
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
    // Never thrown: `PhpException::throw` leaves the pending exception in place.
    Err(PhpException::from_message(String::new()))
}
