//! The headers of a job.

use amqp1_core::HeadersOf;
use ext_php_rs::boxed::ZBox;
use ext_php_rs::types::ZendHashTable;

use crate::convert::{plain, Bytes};
use crate::fail::Fail;

/// All headers as a PHP array, each with its values.
///
/// # Errors
/// If PHP refuses them.
pub fn array(headers: HeadersOf<'_>) -> Result<ZBox<ZendHashTable>, Fail> {
    let mut array = table(headers.len());
    for (name, values) in headers.iter() {
        let mut list = table(values.count());
        for value in values.iter() {
            list.push(Bytes::from(value)).map_err(Fail::internal)?;
        }
        plain::insert(&mut array, name, list)?;
    }
    Ok(array)
}

fn table(length: usize) -> ZBox<ZendHashTable> {
    ZendHashTable::with_capacity(u32::try_from(length).unwrap_or(0))
}
