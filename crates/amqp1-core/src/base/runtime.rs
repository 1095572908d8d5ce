//! The one tokio runtime of a process.

use std::future::Future;
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{pthread_sigmask, SigSet, SigmaskHow};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::base::fork;
use crate::base::per_process::PerProcess;
use crate::base::threads;
use crate::error::{Error, Result};

/// Created by the first call that needs it, never before php-fpm's master process forks.
static RUNTIME: PerProcess<Held> = PerProcess::new();

struct Held {
    handle: Handle,
    /// Ends the thread when it is dropped or told how long it may take.
    stop: oneshot::Sender<Duration>,
    /// Closed when the thread has ended.
    ended: mpsc::Receiver<()>,
}

/// Runs a task on this process's runtime.
///
/// # Errors
/// [`crate::ErrorKind::Connection`] if the system cannot start a thread.
pub(crate) fn spawn<F>(task: F) -> Result<JoinHandle<F::Output>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // A runtime from before a fork has no threads here: using or dropping it hangs.
    RUNTIME.look(|held| {
        if let Some((_, held)) = held {
            return Ok(held.handle.spawn(task));
        }
        threads::come_along();
        let made = make()?;
        let join = made.handle.spawn(task);
        *held = Some((fork::generation(), made));
        Ok(join)
    })
}

/// Starts the I/O thread. It runs a runtime of its own: with a single thread, tokio's scheduler for
/// many only costs time.
fn make() -> Result<Held> {
    let failed =
        |error: std::io::Error| Error::connection(format!("cannot start the I/O thread: {error}"));
    let runtime = Builder::new_current_thread()
        .max_blocking_threads(2)
        .thread_name("amqp1")
        .enable_all()
        .build()
        .map_err(failed)?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel();
    let (alive, ended) = mpsc::channel();
    // Threads inherit the signal mask: only PHP's thread receives signals.
    let mut before = SigSet::empty();
    pthread_sigmask(
        SigmaskHow::SIG_SETMASK,
        Some(&SigSet::all()),
        Some(&mut before),
    )
    .map_err(|error| failed(error.into()))?;
    let started = std::thread::Builder::new()
        .name("amqp1".to_owned())
        .spawn(move || {
            let _alive = alive;
            let timeout = runtime.block_on(stopped).unwrap_or_default();
            runtime.shutdown_timeout(timeout);
        });
    let restored = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    restored.map_err(|error| failed(error.into()))?;
    started.map_err(failed)?;
    Ok(Held {
        handle,
        stop,
        ended,
    })
}

/// Whether this process has started a runtime.
pub(crate) fn is_started() -> bool {
    RUNTIME.look(|held| held.is_some())
}

/// Stops the runtime. A new one is created when needed.
pub(crate) fn shutdown(timeout: Duration) {
    if let Some(held) = RUNTIME.take() {
        // It fails only if the thread has ended.
        let _ = held.stop.send(timeout);
        let _ = held.ended.recv_timeout(timeout);
    }
}
