//! Interruptions of the VM: by signals, by the time limit, and our own.
//!
//! In thread-safe PHP, each thread has its own flags, and its own interruptions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};

use amqp1_core::threads;
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
/// `field` must point to one of the executor's interrupt flags, and the reference must not outlive
/// its thread.
unsafe fn flag<'a, T>(field: *mut T) -> &'a AtomicBool {
    const { assert!(size_of::<T>() == 1) };
    // SAFETY: one byte, only ever 0 or 1, valid for the life of the thread.
    unsafe { AtomicBool::from_ptr(field.cast()) }
}

/// Called when an interruption was requested.
static ON_REQUEST: OnceLock<fn() -> Result<(), Fail>> = OnceLock::new();
/// The handler that was installed before ours. It is written only while there is one thread, so a
/// fork never finds it locked for writing.
static BEFORE: RwLock<Option<Handler>> = RwLock::new(None);

type Handler = unsafe extern "C" fn(*mut zend_execute_data);

/// Makes a thread call `act` between two statements after each interruption by the core. Call it at
/// MINIT.
pub fn on_request(act: fn() -> Result<(), Fail>) {
    let _ = ON_REQUEST.set(act);
    // SAFETY: MINIT is single-threaded.
    unsafe {
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

/// From now on, the core interrupts this thread. Call it at RINIT.
pub fn begin_request() {
    // SAFETY: `end_request` takes the reference back before the thread can end.
    threads::enter(unsafe { flag(&raw mut (*globals()).vm_interrupt) });
}

/// The thread may end after this. Call it at RSHUTDOWN.
pub fn end_request() {
    threads::leave();
}

fn is_ours(handler: Option<Handler>) -> bool {
    handler.is_some_and(|handler| handler as *const () == interrupted as *const ())
}

fn before() -> Option<Handler> {
    *BEFORE.read().unwrap_or_else(PoisonError::into_inner)
}

fn set_before(handler: Option<Handler>) {
    *BEFORE.write().unwrap_or_else(PoisonError::into_inner) = handler;
}

/// Repeats a request that came while an exception was pending, when the VM cleared its flag.
#[inline]
pub fn repeat() {
    if threads::is_interrupted() && !has_exception() {
        threads::interrupt();
    }
}

/// The VM's interrupt check.
///
/// # Safety
/// Only the engine may call it, with its own frame.
unsafe extern "C" fn interrupted(frame: *mut zend_execute_data) {
    // Not before it is caught, see `repeat`: the VM would check again and again.
    if !has_exception() && threads::take_interruption() {
        match ON_REQUEST.get().map_or(Ok(()), |act| act()) {
            Ok(()) => {}
            // No frame of ours is left on the stack.
            Err(Fail::Bailout) => resume_bailout(),
            Err(_) => {
                // Signals that arrived at the same moment wait for the next check.
                // SAFETY: this thread's own flag.
                unsafe { flag(&raw mut (*globals()).vm_interrupt).store(true, Ordering::Release) };
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
