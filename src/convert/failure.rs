//! PHP exceptions as reasons why a job failed.

use amqp1_core::Failure;
use ext_php_rs::types::Zval;
use ext_php_rs::zend::ce;

use super::value::class_name;
use crate::engine::guarded;
use crate::fail::Fail;

/// Reads the reason for a failure from an exception.
pub fn failure(throwable: &Zval) -> Result<Failure, Fail> {
    let Some(object) = throwable.object() else {
        return Ok(Failure::default());
    };
    let message = guarded(|| object.try_call_method("getmessage", Vec::new()))?;
    Ok(Failure {
        message: message
            .ok()
            .map(|message| lossy(&message))
            .unwrap_or_default(),
        exception: class_name(object),
    })
}

/// Whether a value is a `Throwable`.
pub fn is_throwable(value: &Zval) -> bool {
    value
        .object()
        .is_some_and(|object| object.instance_of(ce::throwable()))
}

/// The text of an error, in any encoding.
pub fn lossy(value: &Zval) -> String {
    value.zend_str().map_or_else(String::new, |string| {
        String::from_utf8_lossy(string.as_bytes()).into_owned()
    })
}
