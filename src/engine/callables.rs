//! Where PHP's callables come from.

use std::mem::MaybeUninit;

use ext_php_rs::ffi::{zend_fcall_info_cache, zend_is_callable_ex};
use ext_php_rs::flags::FunctionType;
use ext_php_rs::types::{ZendStr, Zval};

extern "C" {
    fn zend_release_fcall_info_cache(found: *mut zend_fcall_info_cache);
}

/// The file that defines a callable; `None` if it is not PHP code or not callable.
pub fn defined_in(callable: &Zval) -> Option<Vec<u8>> {
    let mut found = MaybeUninit::<zend_fcall_info_cache>::zeroed();
    // SAFETY: the engine fills in what it finds and reads the value, which the caller holds. What it
    // finds is released afterwards; the function itself belongs to the engine's tables.
    unsafe {
        let is_callable = zend_is_callable_ex(
            std::ptr::from_ref(callable).cast_mut(),
            std::ptr::null_mut(),
            0,
            std::ptr::null_mut(),
            found.as_mut_ptr(),
            std::ptr::null_mut(),
        );
        if !is_callable {
            return None;
        }
        let mut found = found.assume_init();
        let function = found.function_handler.as_ref();
        let code = function.filter(|function| {
            let kind = FunctionType::try_from(function.type_);
            matches!(kind, Ok(FunctionType::User))
        });
        let file = code.and_then(|function| {
            let file: Option<&ZendStr> = function.op_array.filename.as_ref();
            file.map(|file| file.as_bytes().to_vec())
        });
        zend_release_fcall_info_cache(&raw mut found);
        file
    }
}
