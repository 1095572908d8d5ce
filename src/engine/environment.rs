//! PHP's view of its environment: `$_ENV`, `$_SERVER`, `open_basedir`.

use std::ffi::{c_int, CString};

use ext_php_rs::ffi::zend_is_auto_global;
use ext_php_rs::types::ZendStr;

use super::{globals, guarded};
use crate::fail::Fail;

extern "C" {
    fn php_check_open_basedir_ex(path: *const libc::c_char, warn: c_int) -> c_int;
}

/// The text (or number) of an entry of `$_ENV` or `$_SERVER`.
///
/// # Errors
/// [`Fail::Bailout`], because PHP fills these arrays on first use.
pub fn superglobal(array: &str, entry: &str) -> Result<Option<Vec<u8>>, Fail> {
    guarded(|| {
        let mut name = ZendStr::new(array, false);
        // SAFETY: the name lives as long as the call; the table belongs to the globals.
        let symbols = unsafe {
            zend_is_auto_global(name.as_mut_ptr());
            &(*globals()).symbol_table
        };
        let value = symbols.get(array)?.dereference().array()?.get(entry)?;
        let value = value.dereference();
        match value.zend_str() {
            Some(text) => Some(text.as_bytes().to_vec()),
            None => value.long().map(|number| number.to_string().into_bytes()),
        }
    })
}

/// Whether `open_basedir` allows a path.
///
/// # Errors
/// [`Fail::Bailout`].
pub fn open_basedir_allows(path: &str) -> Result<bool, Fail> {
    let Ok(path) = CString::new(path) else {
        // No file can be opened with a path that contains a NUL.
        return Ok(true);
    };
    // SAFETY: a NUL-terminated path; the function reads it and emits no warning.
    guarded(|| unsafe { php_check_open_basedir_ex(path.as_ptr(), 0) } == 0)
}
