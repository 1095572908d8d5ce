//! Keeps a connection alive while PHP works: timers, heartbeats, what arrives, and the end.
//!
//! Each connection has one task. Reading never waits for writing; otherwise, two peers that both
//! wait for the other to read would wait for ever. Callers that wait read by themselves: see
//! [`super::role`].

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::io::{Interest, Ready};

use super::role::TICK;
use super::shared::Shared;
use super::socket::Handle;
use crate::error::Error;

/// How long our last frames may take to be written.
const LAST_FRAMES: Duration = Duration::from_millis(500);

/// Drives the connection until it ends.
pub(crate) async fn drive(shared: Arc<Shared>) {
    // If this task panics or is aborted, this wakes everyone who waits for it.
    let guard = LostOnDrop(Arc::clone(&shared));
    let mut watch = Watch::default();
    let ended = run(&shared, &mut watch).await;
    if ended.is_ok() {
        // After the broker's close, our own close must still be sent.
        flush_rest(&shared, &mut watch).await;
    }
    let error = match ended {
        Ok(()) => Error::connection(format!("the connection to {} is closed", shared.label)),
        Err(error) => error,
    };
    shared.lock().handle_lost(&error);
    drop(watch);
    drop(guard);
}

struct LostOnDrop(Arc<Shared>);

impl Drop for LostOnDrop {
    fn drop(&mut self) {
        let label = &self.0.label;
        let error = Error::connection(format!("the connection to {label} ended"));
        let socket = {
            let mut wired = self.0.lock();
            wired.handle_lost(&error);
            wired.take_socket()
        };
        if let Some(mut socket) = socket {
            socket.say_goodbye();
            // If there is no room for it, the peer sees the end without it.
            let _ = socket.flush();
            socket.handle().shutdown();
        }
    }
}

/// The driver's registration for the socket. It exists while the driver must be woken.
#[derive(Default)]
struct Watch(Option<(AsyncFd<Arc<Handle>>, Interest)>);

impl Watch {
    /// Registers for `interest`, or not at all. A new registration reports what is already there.
    fn register(
        &mut self,
        handle: Option<&Arc<Handle>>,
        interest: Option<Interest>,
    ) -> io::Result<()> {
        let (Some(handle), Some(interest)) = (handle, interest) else {
            self.0 = None;
            return Ok(());
        };
        if self.0.as_ref().is_some_and(|(_, now)| *now == interest) {
            return Ok(());
        }
        // One descriptor cannot be registered twice.
        self.0 = None;
        self.0 = Some((handle.register(interest)?, interest));
        Ok(())
    }

    /// Waits until the socket may be ready; for ever without a registration.
    ///
    /// Everything that is read or written for this event must be so before its guard is cleared:
    /// what comes after the event is another one.
    async fn ready(&self) -> io::Result<AsyncFdReadyGuard<'_, Arc<Handle>>> {
        match &self.0 {
            Some((registered, interest)) => registered.ready(*interest).await,
            None => std::future::pending().await,
        }
    }
}

async fn run(shared: &Shared, watch: &mut Watch) -> Result<(), Error> {
    let lost = |error: io::Error| {
        Error::connection(format!("the connection to {} broke: {error}", shared.label))
    };
    {
        // What arrived together with the broker's open, or is already decrypted.
        let mut wired = shared.lock();
        if wired.handle_now() {
            wired.read_now();
        }
    }
    let mut tick_at = Instant::now() + TICK;
    let mut was_ticking = false;
    loop {
        let wake_at = {
            let mut wired = shared.lock();
            wired.write_now();
            if let Some(end) = wired.ended() {
                return end;
            }
            let now = Instant::now();
            wired.poll_new_timer();
            let mut wake_at = wired.poll_timeout(now);
            let is_ticking = wired.role.is_ticking();
            if is_ticking {
                if !was_ticking {
                    tick_at = now + TICK;
                }
                wake_at = wake_at.min(tick_at);
            }
            was_ticking = is_ticking;
            let interest = match (is_ticking, wired.wants_room()) {
                (false, false) => Some(Interest::READABLE),
                (false, true) => Some(Interest::READABLE | Interest::WRITABLE),
                (true, true) => Some(Interest::WRITABLE),
                (true, false) => None,
            };
            watch.register(wired.handle(), interest).map_err(lost)?;
            wake_at
        };
        tokio::select! {
            event = watch.ready() => {
                let mut event = event.map_err(lost)?;
                let (ready, mut done) = (event.ready(), Ready::EMPTY);
                {
                    let mut wired = shared.lock();
                    if ready.is_readable() && wired.role.on_input() && wired.read_now() {
                        done |= Ready::READABLE;
                    }
                    if ready.is_writable() {
                        wired.write_now();
                        if wired.wants_room() {
                            done |= Ready::WRITABLE;
                        }
                    }
                }
                event.clear_ready_matching(done);
            }
            () = shared.wake.notified() => {}
            () = tokio::time::sleep_until(wake_at.into()) => {
                let now = Instant::now();
                let mut wired = shared.lock();
                wired.handle_timeout(now)?;
                if was_ticking && now >= tick_at {
                    tick_at = now + wired.role.on_tick();
                }
            }
        }
    }
}

async fn flush_rest(shared: &Shared, watch: &mut Watch) {
    let rest = async {
        loop {
            {
                let mut wired = shared.lock();
                if !matches!(wired.write_out(), Ok(false)) {
                    return;
                }
                let handle = wired.open_handle().cloned();
                if watch
                    .register(handle.as_ref(), Some(Interest::WRITABLE))
                    .is_err()
                {
                    return;
                }
            }
            let Ok(mut event) = watch.ready().await else {
                return;
            };
            // Written before this event; if there is room by now, the next event says so.
            event.clear_ready_matching(Ready::WRITABLE);
        }
    };
    let _ = tokio::time::timeout(LAST_FRAMES, rest).await;
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
