//! AMQP properties and annotations of a job.

use amqp1_core::Carried;
use ext_php_rs::boxed::ZBox;
use ext_php_rs::convert::IntoZval;
use ext_php_rs::types::{ZendHashTable, Zval};

use crate::convert::{plain, Date};
use crate::fail::Fail;

/// Names and values as a PHP array.
///
/// # Errors
/// If PHP refuses a value.
pub fn array<N: AsRef<[u8]>>(
    values: impl IntoIterator<Item = (N, Carried)>,
) -> Result<ZBox<ZendHashTable>, Fail> {
    let mut array = ZendHashTable::new();
    for (name, value) in values {
        plain::insert(&mut array, name.as_ref(), zval(value)?)?;
    }
    Ok(array)
}

fn zval(value: Carried) -> Result<Zval, Fail> {
    match value {
        Carried::Time(at) => Date::of(at)?.into_zval(false).map_err(Fail::internal),
        Carried::Plain(value) => plain::zval(&value),
    }
}

/// A time in Unix milliseconds as a date.
///
/// # Errors
/// If PHP refuses it.
pub fn date(at: Option<i64>) -> Result<Option<Date>, Fail> {
    at.map(Date::of).transpose()
}
