//! The engine's C API: what ext-php-rs has no safe function for.
//!
//! Here are guarded calls, and what they leave behind.

pub mod environment;
pub mod garbage;
pub mod interrupts;
pub mod json;
mod stash;
pub mod table;
pub mod traverse;

use std::panic::AssertUnwindSafe;

use ext_php_rs::class::RegisteredClass;
use ext_php_rs::exception::PhpException;
use ext_php_rs::ffi::{
    ext_php_rs_executor_globals, zend_call_known_function, zend_fetch_function_str,
};
use ext_php_rs::flags::FunctionType;
use ext_php_rs::types::{ZendClassObject, Zval};
use ext_php_rs::zend::{bailout, ce, try_catch, CatchError, ExecutorGlobals};

use crate::fail::Fail;
pub use stash::{stash_exception, Stash};

/// The executor globals, as a pointer: `ExecutorGlobals::get()` holds a lock,
/// and no lock may be held while PHP code runs.
fn globals() -> *mut ExecutorGlobals {
    // SAFETY: a plain accessor of the engine's globals (of this thread in ZTS).
    unsafe { ext_php_rs_executor_globals() }
}

/// Whether a PHP exception (or `exit()`) is on its way up.
pub fn has_exception() -> bool {
    // SAFETY: the globals are valid for the life of the process.
    unsafe { !(*globals()).exception.is_null() }
}

/// Whether the object whose constructor runs now has been made before.
pub fn is_constructed<T: RegisteredClass>() -> bool {
    // SAFETY: the frame is that of the internal function that runs, as long as it runs, and
    // the object is the frame's; both are read, not kept.
    let frame = unsafe { (*globals()).current_execute_data.as_ref() };
    let object = frame.and_then(|frame| frame.This.object());
    object.is_some_and(|object| ZendClassObject::<T>::from_zend_obj(object).is_some())
}

/// An internal function that takes no arguments, called; `None` where there is
/// none, or one of the script's own under that name, which is not ours to call.
pub fn call_internal(name: &str) -> Option<Zval> {
    // Not by `Function::try_from_function`: it copies the function as if it were
    // the longest kind there is, and reads beyond an internal one (valgrind).
    // SAFETY: the name outlives the call; every kind of function begins with its type.
    let (function, kind) = unsafe {
        let found = zend_fetch_function_str(name.as_ptr().cast(), name.len());
        (found, (!found.is_null()).then(|| (*found).type_))
    };
    if !matches!(FunctionType::try_from(kind?), Ok(FunctionType::Internal)) {
        return None;
    }
    let mut returned = Zval::new();
    // SAFETY: a function of the engine's table, which an internal one does not leave.
    unsafe {
        zend_call_known_function(
            function,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            &raw mut returned,
            0,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        );
    }
    Some(returned)
}

/// Calls into PHP. A bailout (fatal error, memory limit) inside stops here
/// instead of jumping over the Rust frames above; [`crate::call::run`]
/// raises it again once they are gone.
///
/// # Errors
/// [`Fail::Bailout`], and [`Fail::Pending`] when an exception is pending afterwards.
pub fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Fail> {
    match try_catch(AssertUnwindSafe(call)) {
        Ok(_) if has_exception() => Err(Fail::Pending),
        Ok(value) => Ok(value),
        Err(CatchError::Bailout) => Err(Fail::Bailout),
        Err(other) => {
            PhpException::new(format!("amqp1: {other}"), 0, ce::error()).throw();
            Err(Fail::Pending)
        }
    }
}

/// Goes on with a bailout that [`guarded`] stopped.
pub fn resume_bailout() -> ! {
    // SAFETY: called by `call::run` alone, when the method's own frames have
    // been left; what the jump skips is ext-php-rs' handler, made for it.
    unsafe { bailout() }
}
