//! The engine's C API, where ext-php-rs has no safe function.
//!
//! This file has guarded calls and their results.

pub mod callables;
pub mod class_entry;
pub mod environment;
pub mod garbage;
pub mod interrupts;
pub mod json;
mod stash;
pub mod table;
pub mod text;
pub mod traverse;

use std::mem::ManuallyDrop;
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

/// The executor globals, as a pointer: `ExecutorGlobals::get()` holds a lock, and no lock may be
/// held while PHP code runs.
fn globals() -> *mut ExecutorGlobals {
    // SAFETY: a plain accessor of the engine's globals (of this thread in ZTS).
    unsafe { ext_php_rs_executor_globals() }
}

/// Whether a PHP exception (or `exit()`) is pending.
pub fn has_exception() -> bool {
    // SAFETY: the globals are valid for the life of the process.
    unsafe { !(*globals()).exception.is_null() }
}

/// Whether the object whose constructor is running was already constructed.
pub fn is_constructed<T: RegisteredClass>() -> bool {
    // SAFETY: the frame is that of the running internal function, for as long as it runs, and the
    // object is the frame's; both are read, not kept.
    let frame = unsafe { (*globals()).current_execute_data.as_ref() };
    let object = frame.and_then(|frame| frame.This.object());
    object.is_some_and(|object| ZendClassObject::<T>::from_zend_obj(object).is_some())
}

/// A copy of the value without a reference of its own. It must not be dropped, and not be used after
/// the original's last reference is gone.
pub fn borrowed(value: &Zval) -> ManuallyDrop<Zval> {
    // SAFETY: a copy of the bits, which the wrapper keeps from being dropped.
    ManuallyDrop::new(unsafe { std::ptr::read(value) })
}

/// Whether both are the same object.
pub fn is_same_object(one: &Zval, other: &Zval) -> bool {
    match (one.object(), other.object()) {
        (Some(one), Some(other)) => std::ptr::eq(one, other),
        _ => false,
    }
}

/// The object whose method is running.
pub fn this() -> Option<Zval> {
    // SAFETY: the frame is that of the running internal function, for as long as it runs.
    let frame = unsafe { (*globals()).current_execute_data.as_ref() }?;
    frame.This.object()?;
    Some(frame.This.shallow_clone())
}

/// Calls an internal function without arguments. Returns `None` if there is none, or if the script
/// has defined a function with this name: only internal ones may be called.
pub fn call_internal(name: &str) -> Option<Zval> {
    // Not with `Function::try_from_function`: it copies every function as if it were the largest
    // kind, and thus reads beyond an internal one (found by valgrind). SAFETY: the name outlives
    // the call; every kind of function begins with its type.
    let (function, kind) = unsafe {
        let found = zend_fetch_function_str(name.as_ptr().cast(), name.len());
        (found, (!found.is_null()).then(|| (*found).type_))
    };
    if !matches!(FunctionType::try_from(kind?), Ok(FunctionType::Internal)) {
        return None;
    }
    let mut returned = Zval::new();
    // SAFETY: a function from the engine's table; internal functions are never removed from it.
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

/// Calls PHP. A bailout (fatal error, memory limit) inside the call stops here instead of jumping
/// over the Rust frames above. [`crate::call::run`] resumes it once they are gone.
///
/// # Errors
/// [`Fail::Bailout`]; [`Fail::Pending`] if an exception is pending afterwards.
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

/// Resumes a bailout that [`guarded`] stopped.
pub fn resume_bailout() -> ! {
    // SAFETY: only `call::run` calls it, after the method's own frames are gone; the jump skips
    // only ext-php-rs' handler, which is made for that.
    unsafe { bailout() }
}
