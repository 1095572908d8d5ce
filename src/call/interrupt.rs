//! Signals and time limits while a method blocks.

use std::cell::Cell;
use std::time::Duration;

use amqp1_core::{Interrupt, Wait};

use crate::callbacks::token;
use crate::engine::{self, interrupts};
use crate::fail::Fail;

/// Runs PHP's signal handlers between the slices of a wait.
///
/// A handler that throws, calls `exit()` or ends in a fatal error ends the wait. If it calls
/// `$consumer->stop()`, the core ends the wait.
#[derive(Debug, Default)]
pub struct PhpInterrupt {
    bailed_out: Cell<bool>,
    ended: Cell<bool>,
}

impl Interrupt for PhpInterrupt {
    fn check(&self) -> bool {
        let end = self.run_handlers();
        self.ended.set(self.ended.get() || end);
        end
    }
}

impl PhpInterrupt {
    fn run_handlers(&self) -> bool {
        if self.bailed_out.get() || engine::has_exception() {
            return true;
        }
        if !interrupts::requested() {
            // Without pcntl_async_signals() nothing sets the flag: signals wait for a tick or for
            // pcntl_signal_dispatch(), and neither comes while this call blocks.
            return self.ended(interrupts::dispatch_signals());
        }
        // The flag stays set: the VM raises the timeout as soon as we return.
        if interrupts::timed_out() {
            return true;
        }
        self.ended(interrupts::run_handlers())
    }

    /// Whether a handler or the time limit ended a wait with this interrupt.
    pub fn has_ended_a_wait(&self) -> bool {
        self.ended.get()
    }

    /// Whether the handlers' result ends the wait.
    fn ended(&self, handlers: Result<(), Fail>) -> bool {
        match handlers {
            Ok(()) => interrupts::timed_out(),
            Err(Fail::Bailout) => {
                self.bailed_out.set(true);
                true
            }
            Err(_) => true,
        }
    }

    /// Converts an error after a wait with this interrupt: a pending exception or a bailout takes
    /// precedence.
    pub fn fail(&self, error: amqp1_core::Error) -> Fail {
        if self.bailed_out.get() || token::has_bailed_out() {
            Fail::Bailout
        } else if engine::has_exception() {
            Fail::Pending
        } else {
            Fail::Core(error)
        }
    }
}

/// Makes one blocking call to the core, with a deadline and PHP's interruptions.
///
/// # Errors
/// The core's failure, or the interruption.
pub fn blocking<T>(
    timeout: Duration,
    call: impl FnOnce(&Wait<'_>) -> amqp1_core::Result<T>,
) -> Result<T, Fail> {
    let interrupt = PhpInterrupt::default();
    call(&Wait::new(timeout, &interrupt)).map_err(|error| interrupt.fail(error))
}

/// Stands for "no deadline": a century, as in the core's `Wait`.
pub const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Returns `nothing` if the time limit ended the call. The VM raises the time limit as soon as the
/// method returns, and no exception may precede that.
///
/// # Errors
/// Every other failure of the call.
pub fn ended_by_time_limit<T>(result: Result<T, Fail>, nothing: T) -> Result<T, Fail> {
    match result {
        Err(fail) if fail.is_interruption() => Ok(nothing),
        other => other,
    }
}
