//! PHP arrays, without a copy of their keys.
//!
//! ext-php-rs' own iterator allocates each key and panics on one that is not UTF-8.

use ext_php_rs::types::array::Iter;
use ext_php_rs::types::{ZendHashTable, ZendStr, Zval};

/// A key of a PHP array.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    /// A string key, any bytes.
    Name(&'a ZendStr),
    /// An integer key.
    Index(i64),
}

/// The entries of `table` in order.
pub fn entries(table: &ZendHashTable) -> Entries<'_> {
    Entries(table.iter())
}

/// Whether the keys are 0, 1, 2, …
pub fn is_list(table: &ZendHashTable) -> bool {
    entries(table)
        .zip(0_i64..)
        .all(|((key, _), at)| matches!(key, Key::Index(index) if index == at))
}

/// Iterator of [`entries`].
pub struct Entries<'a>(Iter<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = (Key<'a>, &'a Zval);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.0.next_zval()?;
        let key = match key.zend_str() {
            // SAFETY: `key` is a counted copy of the key that the table owns; the
            // table is borrowed for 'a and cannot drop it before.
            Some(name) => Key::Name(unsafe { &*std::ptr::from_ref(name) }),
            None => Key::Index(key.long().unwrap_or_default()),
        };
        Some((key, value))
    }
}
