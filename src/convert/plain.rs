//! Values of foreign messages as PHP's: strings of any bytes, which JSON cannot carry.

use amqp1_core::Plain;
use ext_php_rs::boxed::ZBox;
use ext_php_rs::convert::IntoZval;
use ext_php_rs::types::{ZendHashTable, ZendStr, Zval};

use super::Bytes;
use crate::fail::Fail;

/// What `json_decode()` makes of the value's JSON, but for bytes that are not UTF-8.
///
/// # Errors
/// When PHP does not take it.
pub fn zval(value: &Plain) -> Result<Zval, Fail> {
    let zval = match value {
        Plain::Null => Ok(Zval::new()),
        Plain::Bool(value) => value.into_zval(false),
        Plain::Int(value) => value.into_zval(false),
        // As PHP reads an integer that is too large.
        Plain::Unsigned(value) => (*value as f64).into_zval(false),
        Plain::Float(value) => value.into_zval(false),
        Plain::Bytes(bytes) => Bytes::from(bytes).into_zval(false),
        Plain::List(items) => {
            let mut array = table(items.len());
            for item in items {
                array.push(zval(item)?).map_err(Fail::internal)?;
            }
            array.into_zval(false)
        }
        Plain::Map(entries) => {
            let mut array = table(entries.len());
            for (name, value) in entries {
                insert(&mut array, name, zval(value)?)?;
            }
            array.into_zval(false)
        }
    };
    zval.map_err(Fail::internal)
}

fn table(length: usize) -> ZBox<ZendHashTable> {
    ZendHashTable::with_capacity(u32::try_from(length).unwrap_or(0))
}

/// Sets a key of any bytes; one that is a whole number is an integer, as in any PHP array.
///
/// # Errors
/// When PHP does not take the value.
pub fn insert(array: &mut ZendHashTable, key: &[u8], value: impl IntoZval) -> Result<(), Fail> {
    match std::str::from_utf8(key) {
        Ok(text) => array.insert(text, value),
        Err(_) => array.insert(&*ZendStr::new(key, false), value),
    }
    .map_err(Fail::internal)
}
