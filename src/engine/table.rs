//! PHP arrays, without copies of their keys.
//!
//! ext-php-rs' own iterator allocates each key and panics on one that is not UTF-8.

use std::marker::PhantomData;
use std::os::raw::c_int;

use ext_php_rs::ffi::{
    zend_hash_get_current_data_ex, zend_hash_move_forward_ex, zend_ulong, HashPosition,
};
use ext_php_rs::types::{ZendHashTable, ZendStr, Zval};

extern "C" {
    fn zend_hash_get_current_key_ex(
        table: *const ZendHashTable,
        name: *mut *mut ZendStr,
        index: *mut zend_ulong,
        position: *const HashPosition,
    ) -> c_int;
}

/// The engine's `HASH_KEY_IS_STRING` and `HASH_KEY_IS_LONG`.
const IS_NAME: c_int = 1;
const IS_INDEX: c_int = 2;

/// A key of a PHP array.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    /// A string key of any bytes.
    Name(&'a ZendStr),
    /// An integer key.
    Index(i64),
}

/// The entries of `table` in order.
pub fn entries(table: &ZendHashTable) -> Entries<'_> {
    Entries {
        table: std::ptr::from_ref(table).cast_mut(),
        position: 0,
        of: PhantomData,
    }
}

/// Whether the keys are 0, 1, 2, …
pub fn is_list(table: &ZendHashTable) -> bool {
    entries(table)
        .zip(0_i64..)
        .all(|((key, _), at)| matches!(key, Key::Index(index) if index == at))
}

/// Iterator of [`entries`].
pub struct Entries<'a> {
    table: *mut ZendHashTable,
    position: HashPosition,
    of: PhantomData<&'a ZendHashTable>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (Key<'a>, &'a Zval);

    fn next(&mut self) -> Option<Self::Item> {
        let (mut name, mut index) = (std::ptr::null_mut(), 0);
        // SAFETY: the table is borrowed for 'a. The functions read it at any position, and write
        // only to the locals and the position. Key and value belong to the table, which cannot drop
        // them before 'a ends.
        unsafe {
            let position = &raw mut self.position;
            let kind =
                zend_hash_get_current_key_ex(self.table, &raw mut name, &raw mut index, position);
            let key = match kind {
                IS_NAME => Key::Name(name.as_ref()?),
                IS_INDEX => Key::Index(index as i64),
                _ => return None,
            };
            let value = zend_hash_get_current_data_ex(self.table, position).as_ref()?;
            zend_hash_move_forward_ex(self.table, position);
            Some((key, value))
        }
    }
}
