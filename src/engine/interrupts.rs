//! Interruptions of the VM: by signals, by the time limit, and our own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use ext_php_rs::ffi::{zend_execute_data, zend_interrupt_function};

use super::{call_internal, globals, guarded, has_exception, resume_bailout};
use crate::fail::Fail;

/// `EG(vm_interrupt)`: a signal has arrived, or the time limit has passed.
pub fn requested() -> bool {
    // SAFETY: a single byte that signal handlers write; `bool` in 8.1 and `zend_atomic_bool` (a
    // struct of one bool) from 8.2 on have AtomicBool's layout.
    unsafe { flag(&raw mut (*globals()).vm_interrupt).load(Ordering::Acquire) }
}

/// `EG(timed_out)`: `max_execution_time` has passed, and the VM will end the script.
pub fn timed_out() -> bool {
    // SAFETY: as in `requested`.
    unsafe { flag(&raw mut (*globals()).timed_out).load(Ordering::Acquire) }
}

/// # Safety
/// `field` must point to one of the executor's interrupt flags.
unsafe fn flag<'a, T>(field: *mut T) -> &'a AtomicBool {
    const { assert!(size_of::<T>() == 1) };
    // SAFETY: one byte, only ever 0 or 1, valid for the life of the process.
    unsafe { AtomicBool::from_ptr(field.cast()) }
}

/// Called when an interruption was requested.
static ON_REQUEST: OnceLock<fn() -> Result<(), Fail>> = OnceLock::new();
/// `EG(vm_interrupt)`. One per process, because only PHP without threads (not ZTS) is supported.
static INTERRUPT: OnceLock<&'static AtomicBool> = OnceLock::new();
static REQUESTED: AtomicBool = AtomicBool::new(false);
/// The handler that was installed before ours.
static BEFORE: Mutex<Option<Handler>> = Mutex::new(None);

type Handler = unsafe extern "C" fn(*mut zend_execute_data);

/// Makes PHP's thread call `act` between two statements after each [`request`]. Call it at MINIT.
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

/// Restores the previous handler, unless another one has replaced ours. Call it at MSHUTDOWN.
pub fn leave() {
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

/// Asks PHP's thread to call the registered function. May be called on any thread.
pub fn request() {
    if let Some(interrupt) = INTERRUPT.get() {
        REQUESTED.store(true, Ordering::Release);
        interrupt.store(true, Ordering::Release);
    }
}

/// Repeats a request that came while an exception was pending, when the VM cleared its flag.
#[inline]
pub fn repeat() {
    if REQUESTED.load(Ordering::Relaxed) && !has_exception() {
        request();
    }
}

/// The VM's interrupt check.
///
/// # Safety
/// Only the engine may call it, with its own frame.
unsafe extern "C" fn interrupted(frame: *mut zend_execute_data) {
    // Not before it is caught, see `repeat`: the VM would check again and again.
    if !has_exception() && REQUESTED.swap(false, Ordering::AcqRel) {
        match ON_REQUEST.get().map_or(Ok(()), |act| act()) {
            Ok(()) => {}
            // No frame of ours is left on the stack.
            Err(Fail::Bailout) => resume_bailout(),
            Err(_) => {
                // Signals that arrived at the same moment wait for the next check.
                if let Some(interrupt) = INTERRUPT.get() {
                    interrupt.store(true, Ordering::Release);
                }
                return;
            }
        }
    }
    if let Some(before) = before() {
        // SAFETY: forwards the engine's call; a jump would skip no frame of ours.
        unsafe { before(frame) }
    }
}

/// Runs the signal handlers, as the VM does at its next interrupt check.
///
/// # Errors
/// [`Fail::Pending`] if a handler threw or called `exit()`, [`Fail::Bailout`] if it ended in a
/// fatal error.
pub fn run_handlers() -> Result<(), Fail> {
    // SAFETY: the globals are valid; the pointers are read, not kept.
    let (handler, frame) = unsafe {
        flag(&raw mut (*globals()).vm_interrupt).store(false, Ordering::Release);
        (zend_interrupt_function, (*globals()).current_execute_data)
    };
    let Some(handler) = handler.filter(|_| !frame.is_null()) else {
        return Ok(());
    };
    guarded(|| {
        // SAFETY: the same call as in zend_interrupt_helper, with the frame of the method that is
        // blocking.
        unsafe { handler(frame) }
    })
}

/// Runs the handlers of signals that pcntl has queued, if pcntl is loaded.
///
/// # Errors
/// As [`run_handlers`].
pub fn dispatch_signals() -> Result<(), Fail> {
    // It only ever returns true; an exception may be pending.
    guarded(|| drop(call_internal("pcntl_signal_dispatch")))
}
