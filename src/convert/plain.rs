//! Values of foreign messages as PHP values, including strings that JSON cannot represent.

use amqp1_core::Plain;
use ext_php_rs::boxed::ZBox;
use ext_php_rs::convert::IntoZval;
use ext_php_rs::types::{ZendHashTable, ZendStr, Zval};

use super::Bytes;
use crate::fail::Fail;

/// Converts like `json_decode()` of the value's JSON, but keeps bytes that are not UTF-8.
///
/// # Errors
/// If PHP refuses the value.
pub fn zval(value: &Plain) -> Result<Zval, Fail> {
    let zval = match value {
        Plain::Null => Ok(Zval::new()),
        Plain::Bool(value) => value.into_zval(false),
        Plain::Int(value) => value.into_zval(false),
        // PHP also reads an integer that is too large as a float.
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

/// Sets a key of any bytes. As in any PHP array, a key that is a whole number becomes an integer.
///
/// # Errors
/// If PHP refuses the value.
pub fn insert(array: &mut ZendHashTable, key: &[u8], value: impl IntoZval) -> Result<(), Fail> {
    match std::str::from_utf8(key) {
        Ok(text) => array.insert(text, value),
        Err(_) => array.insert(&*ZendStr::new(key, false), value),
    }
    .map_err(Fail::internal)
}
