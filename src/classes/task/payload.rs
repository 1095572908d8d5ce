//! The payload of a job.

use amqp1_core::{Contents, Error};
use ext_php_rs::convert::IntoZval;
use ext_php_rs::types::Zval;

use crate::convert::{plain, Bytes};
use crate::engine::json;
use crate::fail::Fail;

/// The producer's payload, decoded if it was sent as JSON; `method` is the one that was called.
///
/// # Errors
/// A body that claims to be JSON and is not.
pub fn decoded(method: &str, contents: Contents<'_>) -> Result<Zval, Fail> {
    let body = contents.body();
    if !contents.is_json() {
        return Bytes::from(body).into_zval(false).map_err(Fail::internal);
    }
    // JSON cannot represent bytes that are not UTF-8; PHP strings can.
    if std::str::from_utf8(body).is_err() {
        if let Some(value) = contents.value() {
            return plain::zval(&value);
        }
    }
    let problem = match json::decode(body) {
        Ok(value) => return Ok(value),
        // Compressed JSON is for its reader to decompress.
        Err(_) if contents.has_encoded_body() => {
            return Bytes::from(body).into_zval(false).map_err(Fail::internal)
        }
        Err(problem) => problem,
    };
    Err(Fail::Core(Error::serialization(format!(
        "{method}: the body of job '{}' ({}) is not valid JSON: {problem}",
        contents.name(),
        contents.id(),
    ))))
}
