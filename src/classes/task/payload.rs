//! The payload of a job in hand.

use amqp1_core::{Delivery, Error};
use ext_php_rs::convert::IntoZval;
use ext_php_rs::types::Zval;

use crate::convert::{plain, Bytes};
use crate::engine::json;
use crate::fail::Fail;

/// What the producer gave: decoded when it travelled as JSON.
///
/// # Errors
/// A body that is not the JSON it is said to be.
pub fn decoded(delivery: &Delivery) -> Result<Zval, Fail> {
    let body = delivery.body();
    if !delivery.is_json() {
        return Bytes::from(body).into_zval(false).map_err(Fail::internal);
    }
    // JSON has no word for bytes that are not UTF-8; PHP's strings have.
    if std::str::from_utf8(body).is_err() {
        if let Some(value) = delivery.value() {
            return plain::zval(&value);
        }
    }
    json::decode(body).map_err(|problem| {
        Fail::Core(Error::serialization(format!(
            "Task::getPayload(): the body of job '{}' ({}) is not valid JSON: {problem}",
            delivery.name(),
            delivery.id(),
        )))
    })
}
