//! Pending exceptions that are set aside.

use ext_php_rs::ffi::zend_op;
use ext_php_rs::types::ZendObject;

use super::globals;

extern "C" {
    fn zend_exception_set_previous(exception: *mut ZendObject, previous: *mut ZendObject);
    fn zend_is_unwind_exit(exception: *const ZendObject) -> bool;
}

/// A pending exception that is set aside while something has to be finished.
#[derive(Debug)]
pub struct Stash {
    exception: *mut ZendObject,
    /// Where it was thrown in the frame below.
    opline: *const zend_op,
}

/// Takes the pending exception away, for [`Stash::restore`].
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
    /// It is that of `exit()`: nothing more is to run.
    pub fn is_exit(&self) -> bool {
        // SAFETY: the stash owns a reference to the object, if there is one.
        !self.exception.is_null() && unsafe { zend_is_unwind_exit(self.exception) }
    }

    /// Makes the exception pending again, the very same object. One that was
    /// thrown meanwhile goes first and gets it as its previous one.
    pub fn restore(self) {
        if self.exception.is_null() {
            return;
        }
        // SAFETY: the stash owns one reference, which goes either back into
        // EG(exception) or into the chain of previous exceptions. PHP looks at
        // EG(exception) when our method returns, so nothing else has to be set.
        // `exit()` is no Throwable and wins over whatever came after it.
        unsafe {
            let newer = (*globals()).exception;
            // What ran meanwhile may have thrown and caught.
            (*globals()).opline_before_exception = self.opline;
            if newer.is_null() {
                (*globals()).exception = self.exception;
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
