//! How the program is told to stop, and to read its faults again.

use std::io;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// SIGTERM, SIGINT; Ctrl+C on Windows.
    Stop,
    /// SIGHUP.
    #[cfg_attr(windows, allow(dead_code))]
    ReadFaults,
}

#[cfg(unix)]
pub use unix::Signals;
#[cfg(windows)]
pub use windows::Signals;

#[cfg(unix)]
mod unix {
    use tokio::signal::unix::{signal, Signal, SignalKind};

    use super::{io, Asked};

    /// The signals from now on.
    #[derive(Debug)]
    pub struct Signals {
        terminate: Signal,
        interrupt: Signal,
        hangup: Signal,
    }

    impl Signals {
        /// Handles them from now on.
        ///
        /// # Errors
        /// If the system refuses a handler.
        pub fn new() -> io::Result<Self> {
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                hangup: signal(SignalKind::hangup())?,
            })
        }

        /// Waits for the next one. Nothing is lost if the future is dropped.
        pub async fn next(&mut self) -> Asked {
            tokio::select! {
                _ = self.terminate.recv() => Asked::Stop,
                _ = self.interrupt.recv() => Asked::Stop,
                _ = self.hangup.recv() => Asked::ReadFaults,
            }
        }
    }
}

#[cfg(windows)]
mod windows {
    use tokio::signal::windows::{ctrl_c, CtrlC};

    use super::{io, Asked};

    /// Ctrl+C from now on.
    #[derive(Debug)]
    pub struct Signals(CtrlC);

    impl Signals {
        /// Handles it from now on.
        ///
        /// # Errors
        /// If the system refuses a handler.
        pub fn new() -> io::Result<Self> {
            ctrl_c().map(Self)
        }

        /// Waits for the next one.
        pub async fn next(&mut self) -> Asked {
            self.0.recv().await;
            Asked::Stop
        }
    }
}
