//! The SPL parents of our exceptions, by their PHP names.

#![allow(non_snake_case, reason = "named as the PHP classes they return")]

use ext_php_rs::zend::{ce, ClassEntry};

extern "C" {
    static spl_ce_RuntimeException: *mut ClassEntry;
    static spl_ce_InvalidArgumentException: *mut ClassEntry;
}

pub fn RuntimeException() -> &'static ClassEntry {
    // SAFETY: exported by PHP and set when SPL starts, which is before any extension.
    unsafe { spl_ce_RuntimeException.as_ref() }.unwrap_or_else(|| ce::exception())
}

pub fn InvalidArgumentException() -> &'static ClassEntry {
    // SAFETY: as above.
    unsafe { spl_ce_InvalidArgumentException.as_ref() }.unwrap_or_else(|| ce::exception())
}
