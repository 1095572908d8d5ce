//! Why a job failed: as handlers specify it, and as `getFailure()` returns it.

use amqp1_core::{Failure, FailureFacts};
use ext_php_rs::boxed::ZBox;
use ext_php_rs::types::ZendHashTable;

use crate::convert::args::{Cause, Reason};
use crate::convert::{self, Parameter};
use crate::fail::Fail;

/// The failure of a job in a failed queue, as a PHP array.
///
/// # Errors
/// If PHP refuses it.
pub fn array(failure: FailureFacts) -> Result<ZBox<ZendHashTable>, Fail> {
    let failed_at = failure.failed_at.map(|at| at as f64 / 1000.0);
    let mut array = ZendHashTable::new();
    array
        .insert("reason", failure.reason)
        .and_then(|()| array.insert("error", failure.error))
        .and_then(|()| array.insert("exception", failure.exception))
        .and_then(|()| array.insert("queue", failure.queue))
        .and_then(|()| array.insert("attempts", i64::from(failure.attempts)))
        .and_then(|()| array.insert("failed_at", failed_at))
        .map_err(Fail::internal)?;
    Ok(array)
}

/// Reads the parameter of `nack()`.
///
/// # Errors
/// A value of another type.
pub fn cause(method: &'static str, error: Cause<'_>) -> Result<Option<Failure>, Fail> {
    match error.get() {
        None => Ok(None),
        Some(error) if convert::is_throwable(error) => convert::failure(error).map(Some),
        Some(error) => {
            let parameter = Parameter::of(method, 1, "error", "Stringable|Throwable|string|null");
            Ok(Some(Failure {
                message: parameter.text(Some(error))?.into_owned(),
                exception: None,
            }))
        }
    }
}

/// Reads the parameter of `deadLetter()`: a reason, or an exception that is the reason.
///
/// # Errors
/// A value of another type.
pub fn reason(method: &'static str, reason: Reason<'_>) -> Result<(String, Option<Failure>), Fail> {
    match reason.get() {
        Some(error) if convert::is_throwable(error) => {
            Ok((String::from("failed"), Some(convert::failure(error)?)))
        }
        text => {
            let text = Parameter::of(method, 1, "reason", "Throwable|string").text(text)?;
            Ok((text.into_owned(), None))
        }
    }
}
