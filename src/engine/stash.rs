//! Sets pending exceptions aside.

use ext_php_rs::ffi::zend_op;
use ext_php_rs::types::{ZendObject, Zval};

use super::globals;

extern "C" {
    fn zend_exception_set_previous(exception: *mut ZendObject, previous: *mut ZendObject);
    fn zend_is_unwind_exit(exception: *const ZendObject) -> bool;
}

/// A pending exception that is set aside until some work is finished.
#[derive(Debug)]
pub struct Stash {
    exception: *mut ZendObject,
    /// Where it was thrown in the frame below.
    opline: *const zend_op,
}

/// Sets the pending exception aside, for [`Stash::restore`].
pub fn stash_exception() -> Stash {
    // SAFETY: the globals are valid; the reference EG(exception) held moves into the stash.
    unsafe {
        let exception = (*globals()).exception;
        (*globals()).exception = std::ptr::null_mut();
        Stash {
            exception,
            opline: (*globals()).opline_before_exception,
        }
    }
}

impl Stash {
    /// Whether it is the one of `exit()`, after which no code may run.
    pub fn is_exit(&self) -> bool {
        // SAFETY: the stash owns a reference to the object, if there is one.
        !self.exception.is_null() && unsafe { zend_is_unwind_exit(self.exception) }
    }

    /// The exception as a value, never to be pending again; `None` if there was none.
    pub fn into_zval(self) -> Option<Zval> {
        // SAFETY: the stash owns a reference. `set_object` adds one for the value, so that this one
        // is released.
        unsafe {
            let exception = self.exception.as_mut()?;
            let mut value = Zval::new();
            value.set_object(exception);
            ext_php_rs::ffi::ext_php_rs_zend_object_release(exception);
            Some(value)
        }
    }

    /// Makes the same exception object pending again. If another one was thrown in the meantime,
    /// that one stays pending and gets this one as its previous exception.
    pub fn restore(self) {
        if self.exception.is_null() {
            return;
        }
        // SAFETY: the stash owns one reference, which moves either back into EG(exception) or into
        // the chain of previous exceptions. PHP checks EG(exception) when our method returns, so
        // nothing else must be set. `exit()` is not a Throwable and takes precedence over any later
        // exception.
        unsafe {
            let newer = (*globals()).exception;
            if newer.is_null() {
                (*globals()).exception = self.exception;
                // Code that ran in the meantime may have thrown and caught. If an exception
                // is pending, its place is already set, by the first exception in the frame.
                (*globals()).opline_before_exception = self.opline;
            } else if zend_is_unwind_exit(self.exception) {
                (*globals()).exception = self.exception;
                ext_php_rs::ffi::ext_php_rs_zend_object_release(newer);
            } else if zend_is_unwind_exit(newer) {
                ext_php_rs::ffi::ext_php_rs_zend_object_release(self.exception);
            } else {
                zend_exception_set_previous(newer, self.exception);
            }
        }
    }
}
