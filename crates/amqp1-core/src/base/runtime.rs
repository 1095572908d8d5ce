//! The one tokio runtime of a process.

use std::future::Future;
use std::time::Duration;

use nix::sys::signal::{pthread_sigmask, SigSet, SigmaskHow};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::base::fork;
use crate::base::sync::Mutex;
use crate::error::{Error, Result};

/// Created by the first call that needs it, never before php-fpm's master process forks.
static RUNTIME: Mutex<Option<Held>> = Mutex::new(None);

struct Held {
    generation: u64,
    runtime: Runtime,
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
    let mut held = RUNTIME.lock();
    if let Some(held) = held.as_ref() {
        if held.generation == fork::generation() {
            return Ok(held.runtime.spawn(task));
        }
    }
    // A runtime from before a fork has no threads here: using or dropping it hangs.
    std::mem::forget(held.take());
    let runtime = make()?;
    let join = runtime.spawn(task);
    *held = Some(Held {
        generation: fork::generation(),
        runtime,
    });
    Ok(join)
}

fn make() -> Result<Runtime> {
    let failed =
        |error: std::io::Error| Error::connection(format!("cannot start the I/O thread: {error}"));
    // Threads inherit the signal mask: only PHP's thread receives signals.
    let mut before = SigSet::empty();
    pthread_sigmask(
        SigmaskHow::SIG_SETMASK,
        Some(&SigSet::all()),
        Some(&mut before),
    )
    .map_err(|error| failed(error.into()))?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(2)
        .thread_name("amqp1")
        .enable_all()
        .build();
    let restored = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    restored.map_err(|error| failed(error.into()))?;
    runtime.map_err(failed)
}

/// Whether this process has started a runtime.
pub(crate) fn is_started() -> bool {
    let held = RUNTIME.lock();
    held.as_ref()
        .is_some_and(|held| held.generation == fork::generation())
}

/// Stops the runtime. A new one is created when needed.
pub(crate) fn shutdown(timeout: Duration) {
    let held = RUNTIME.lock().take();
    match held {
        Some(held) if held.generation == fork::generation() => {
            held.runtime.shutdown_timeout(timeout);
        }
        other => std::mem::forget(other),
    }
}
