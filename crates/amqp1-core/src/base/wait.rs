//! Waits of PHP's thread: deadlines and interruptions.
//!
//! PHP runs signal handlers only between opcodes, or when an extension allows it. Therefore no wait
//! is longer than [`SLICE`]. At the end of a slice the interrupt check runs (in the extension,
//! PHP's handlers), and the wait continues or gives up.

use std::time::{Duration, Instant};

use crate::base::fork;
pub use crate::base::signal::Signal;
use crate::base::signal::Woken;
use crate::error::{Error, Result};

/// The longest uninterruptible wait.
pub const SLICE: Duration = Duration::from_millis(50);

/// Lets the host run its own code during a wait, and end the wait.
pub trait Interrupt {
    /// Runs pending signal handlers; true if the blocked call must return now.
    fn check(&self) -> bool;
}

/// Never interrupts: for tests and plain Rust callers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uninterrupted;

impl Interrupt for Uninterrupted {
    fn check(&self) -> bool {
        false
    }
}

/// How long a call may block, and what may end it earlier.
#[derive(Clone, Copy)]
pub struct Wait<'a> {
    begun: Instant,
    deadline: Instant,
    /// Until when the caller accepts pauses; after that, it waits only for work in progress.
    patience: Instant,
    interrupt: &'a dyn Interrupt,
}

impl std::fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wait").field("left", &self.left()).finish()
    }
}

impl<'a> Wait<'a> {
    /// A wait of at most `timeout` from now.
    pub fn new(timeout: Duration, interrupt: &'a dyn Interrupt) -> Self {
        // A century stands in for "for ever": Instant has no maximum to saturate to.
        let century = Duration::from_secs(100 * 365 * 86_400);
        let begun = Instant::now();
        let deadline = begun + timeout.min(century);
        Self {
            begun,
            deadline,
            patience: deadline,
            interrupt,
        }
    }

    /// A wait that only its timeout ends.
    #[must_use]
    pub fn uninterrupted(timeout: Duration) -> Wait<'static> {
        Wait::new(timeout, &Uninterrupted)
    }

    /// The time since it began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// When the wait ends.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Time left; zero when the deadline has passed.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The same interruptions, with a deadline no later than `timeout` from now.
    #[must_use]
    pub fn at_most(&self, timeout: Duration) -> Wait<'a> {
        Wait {
            deadline: self.deadline.min(Instant::now() + timeout),
            ..*self
        }
    }

    /// The same interruptions, with a deadline no later than `timeout` after this wait began.
    #[must_use]
    pub(crate) fn early(&self, timeout: Duration) -> Wait<'a> {
        Wait {
            deadline: self.deadline.min(self.begun + timeout),
            ..*self
        }
    }

    /// For connecting and attaching, which may take `timeout` from now, regardless of the time
    /// left. Pauses before retries still end with the original wait.
    #[must_use]
    pub fn for_work(&self, timeout: Duration) -> Wait<'a> {
        Wait {
            patience: self.deadline,
            ..self.restarted(timeout)
        }
    }

    /// Time left for pauses.
    #[must_use]
    pub fn patience(&self) -> Duration {
        let until = self.patience.min(self.deadline);
        until.saturating_duration_since(Instant::now())
    }

    /// The same interruptions, with a deadline of `timeout` from now, even if that is later than
    /// before.
    #[must_use]
    pub fn restarted(&self, timeout: Duration) -> Wait<'a> {
        Wait::new(timeout, self.interrupt)
    }

    /// Waits for `pause`, or until the deadline.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Interrupted`].
    pub fn sleep(&self, pause: Duration) -> Result<()> {
        let nobody = Signal::new();
        self.at_most(pause).until(&nobody, || Ok(None::<()>))?;
        Ok(())
    }

    /// Runs the interrupt check once.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Interrupted`] if the host wants the call to return.
    pub fn check(&self) -> Result<()> {
        let before = fork::generation();
        let end = self.interrupt.check();
        if fork::generation() != before {
            // The awaited event happens in the parent and never reaches this child. A thread that
            // does not exist here may hold the locks.
            return Err(Error::interrupted(
                "a signal handler forked this process: only the parent process continues this call",
            ));
        }
        if end {
            return Err(Error::interrupted("interrupted by a signal handler"));
        }
        Ok(())
    }

    /// Waits until `ready` returns a value. Calls it at once and each time `signal` is raised.
    /// `None` if the deadline passes first.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Interrupted`], and the errors of `ready`.
    pub fn until<T>(
        &self,
        signal: &Signal,
        mut ready: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        // If the value is ready at once, the clock is not read.
        let mut check_at = None;
        loop {
            let seen = signal.generation();
            if let Some(value) = ready()? {
                return Ok(Some(value));
            }
            let now = Instant::now();
            if now >= self.deadline {
                return Ok(None);
            }
            // By the clock: a signal that is raised constantly must not delay PHP's handlers.
            let mut slice_ends = *check_at.get_or_insert(now + SLICE);
            if now >= slice_ends {
                self.check()?;
                slice_ends = Instant::now() + SLICE;
                check_at = Some(slice_ends);
            }
            let until = self.deadline.min(slice_ends);
            let left = until.saturating_duration_since(now);
            if signal.wait(seen, left) == Woken::Interrupted {
                self.check()?;
            }
        }
    }
}
