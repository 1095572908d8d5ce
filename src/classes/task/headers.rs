//! The headers of a job in progress.

use amqp1_core::BString;
use ext_php_rs::boxed::ZBox;
use ext_php_rs::types::ZendHashTable;

use crate::convert::{plain, Bytes};
use crate::fail::Fail;

/// All headers as a PHP array, each with its values.
///
/// # Errors
/// If PHP refuses them.
pub fn array(headers: &[(BString, Vec<BString>)]) -> Result<ZBox<ZendHashTable>, Fail> {
    let mut array = table(headers.len());
    for (name, values) in headers {
        let mut list = table(values.len());
        for value in values {
            list.push(Bytes::from(value)).map_err(Fail::internal)?;
        }
        plain::insert(&mut array, name, list)?;
    }
    Ok(array)
}

/// The values of the header with this name, regardless of case.
pub fn find<'a>(headers: &'a [(BString, Vec<BString>)], name: &[u8]) -> Option<&'a [BString]> {
    let mut headers = headers.iter();
    headers
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, values)| values.as_slice())
}

fn table(length: usize) -> ZBox<ZendHashTable> {
    ZendHashTable::with_capacity(u32::try_from(length).unwrap_or(0))
}
