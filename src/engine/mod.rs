//! The engine's C API: what ext-php-rs has no safe function for.
//!
//! Here is the engine's own state: the pending exception, the interrupt flag, guarded calls.

pub mod environment;
pub mod garbage;
pub mod json;
pub mod table;
pub mod traverse;

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use ext_php_rs::class::RegisteredClass;
use ext_php_rs::exception::PhpException;
use ext_php_rs::ffi::{
    ext_php_rs_executor_globals, zend_call_known_function, zend_execute_data,
    zend_fetch_function_str, zend_interrupt_function, zend_op,
};
use ext_php_rs::flags::FunctionType;
use ext_php_rs::types::{ZendClassObject, ZendObject, Zval};
use ext_php_rs::zend::{bailout, ce, try_catch, CatchError, ExecutorGlobals};

use crate::fail::Fail;

extern "C" {
    fn zend_exception_set_previous(exception: *mut ZendObject, previous: *mut ZendObject);
    fn zend_is_unwind_exit(exception: *const ZendObject) -> bool;
}

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

/// `EG(vm_interrupt)`: a signal arrived, or the time limit has passed.
pub fn interrupt_requested() -> bool {
    // SAFETY: a single byte that signal handlers write; `bool` in 8.1 and
    // `zend_atomic_bool` (a struct of one bool) from 8.2 on have AtomicBool's layout.
    unsafe { flag(&raw mut (*globals()).vm_interrupt).load(Ordering::Acquire) }
}

/// `EG(timed_out)`: `max_execution_time` is over, the VM will end the script.
pub fn timed_out() -> bool {
    // SAFETY: as in `interrupt_requested`.
    unsafe { flag(&raw mut (*globals()).timed_out).load(Ordering::Acquire) }
}

/// # Safety
/// `field` must point to one of the executor's interrupt flags.
unsafe fn flag<'a, T>(field: *mut T) -> &'a AtomicBool {
    const { assert!(size_of::<T>() == 1) };
    // SAFETY: one byte, only ever 0 or 1, valid for the life of the process.
    unsafe { AtomicBool::from_ptr(field.cast()) }
}

/// Whether the object whose constructor runs now has been made before.
pub fn is_constructed<T: RegisteredClass>() -> bool {
    // SAFETY: the frame is that of the internal function that runs, as long as it runs, and
    // the object is the frame's; both are read, not kept.
    let frame = unsafe { (*globals()).current_execute_data.as_ref() };
    let object = frame.and_then(|frame| frame.This.object());
    object.is_some_and(|object| ZendClassObject::<T>::from_zend_obj(object).is_some())
}

/// What is done when an interruption was requested.
static ON_REQUEST: OnceLock<fn() -> Result<(), Fail>> = OnceLock::new();
/// `EG(vm_interrupt)`. One for the process: PHP without threads (ZTS) is all we support.
static INTERRUPT: OnceLock<&'static AtomicBool> = OnceLock::new();
static REQUESTED: AtomicBool = AtomicBool::new(false);
/// Whose handler stood there before ours.
static BEFORE: Mutex<Option<Handler>> = Mutex::new(None);

type Handler = unsafe extern "C" fn(*mut zend_execute_data);

/// Has `act` called on PHP's thread, between two statements, after
/// [`request_interruption`]. At MINIT.
pub fn on_request(act: fn() -> Result<(), Fail>) {
    let _ = ON_REQUEST.set(act);
    // SAFETY: MINIT is single-threaded; the flag is valid for the life of the process.
    unsafe {
        let _ = INTERRUPT.set(flag(&raw mut (*globals()).vm_interrupt));
        if !is_ours(zend_interrupt_function) {
            set_before(zend_interrupt_function);
            zend_interrupt_function = Some(interrupted);
        }
    }
}

/// At MSHUTDOWN: what stood there before stands there again, unless somebody came after us.
pub fn leave_interruptions() {
    // SAFETY: MSHUTDOWN is single-threaded.
    unsafe {
        if is_ours(zend_interrupt_function) {
            zend_interrupt_function = before();
        }
    }
}

fn is_ours(handler: Option<Handler>) -> bool {
    handler.is_some_and(|handler| handler as *const () == interrupted as *const ())
}

fn before() -> Option<Handler> {
    *BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set_before(handler: Option<Handler>) {
    *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = handler;
}

/// Asks PHP's thread to do what was registered. From any thread.
pub fn request_interruption() {
    if let Some(interrupt) = INTERRUPT.get() {
        REQUESTED.store(true, Ordering::Release);
        interrupt.store(true, Ordering::Release);
    }
}

/// The VM's interrupt check.
///
/// # Safety
/// Called by the engine alone, with its frame.
unsafe extern "C" fn interrupted(frame: *mut zend_execute_data) {
    if !has_exception() && REQUESTED.swap(false, Ordering::AcqRel) {
        match ON_REQUEST.get().map_or(Ok(()), |act| act()) {
            Ok(()) => {}
            // Nothing of ours is on the stack any more.
            Err(Fail::Bailout) => resume_bailout(),
            Err(_) => {
                // Signals that came at the same moment wait for the next check.
                if let Some(interrupt) = INTERRUPT.get() {
                    interrupt.store(true, Ordering::Release);
                }
                return;
            }
        }
    }
    if let Some(before) = before() {
        // SAFETY: the engine's call, passed on; nothing of ours is on the stack that a
        // jump over it would skip.
        unsafe { before(frame) }
    }
}

/// Runs what the VM would run at its next interrupt check: the signal handlers.
///
/// # Errors
/// [`Fail::Pending`] when a handler threw or called `exit()`, [`Fail::Bailout`]
/// when it ended in a fatal error.
pub fn run_interrupt_handlers() -> Result<(), Fail> {
    // SAFETY: the globals are valid; the pointers are read, not kept.
    let (handler, frame) = unsafe {
        flag(&raw mut (*globals()).vm_interrupt).store(false, Ordering::Release);
        (zend_interrupt_function, (*globals()).current_execute_data)
    };
    let Some(handler) = handler.filter(|_| !frame.is_null()) else {
        return Ok(());
    };
    guarded(|| {
        // SAFETY: the same call as in zend_interrupt_helper, with the frame
        // of the method that is blocking.
        unsafe { handler(frame) }
    })
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

/// Runs the handlers of signals that pcntl has queued, if pcntl is there.
///
/// # Errors
/// As [`run_interrupt_handlers`].
pub fn dispatch_signals() -> Result<(), Fail> {
    // It returns nothing but true; an exception is pending, if any.
    guarded(|| drop(call_internal("pcntl_signal_dispatch")))
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
