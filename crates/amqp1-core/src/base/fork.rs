//! Distinguishes a forked child from its parent, and closes the parent's sockets in the child.
#![allow(unsafe_code)] // The one place in this crate.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::Once;

use crate::base::counters;

static GENERATION: AtomicU64 = AtomicU64::new(1);
static REGISTER: Once = Once::new();

/// Sockets that a child must close; an empty slot contains [`NONE`].
static SOCKETS: [AtomicI32; 512] = [const { AtomicI32::new(NONE) }; 512];
const NONE: i32 = -1;

/// Runs in the child before `fork` returns.
extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    counters::reset();
    for slot in &SOCKETS {
        let socket = slot.swap(NONE, Ordering::Relaxed);
        if socket != NONE {
            // SAFETY: the number is this process's own copy of an open socket. Its owner in memory
            // belongs to the parent's runtime, which is never run or dropped here. `close` is
            // allowed after a fork. Closing, unlike shutting down, does not affect the parent's
            // copy; without it, the connection would stay open after the parent's death.
            unsafe { libc::close(socket) };
        }
    }
}

/// A number that differs between a process and its forked children. Objects made under another
/// generation belong to the parent: they are neither used nor torn down.
///
/// A fork handler counts it, because getting the process id is a system call, and this function is
/// called several times per job.
#[must_use]
pub fn generation() -> u64 {
    REGISTER.call_once(|| {
        // SAFETY: the handler works on atomics and calls `close`, which is allowed between fork and
        // exec. glibc removes the handler when it unloads the library that contains it.
        let registered = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        debug_assert_eq!(registered, 0);
    });
    GENERATION.load(Ordering::Relaxed)
}

/// Registers a socket, until it is dropped, for children to close.
#[derive(Debug)]
pub(crate) struct Socket {
    slot: Option<&'static AtomicI32>,
    socket: RawFd,
}

impl Socket {
    /// Registers a socket. Drop the registration before you close the socket.
    pub fn register(socket: RawFd) -> Self {
        let mut slots = SOCKETS.iter();
        // If there are more sockets than slots, the others stay open in children, as all of them
        // would without this registration.
        let slot = slots.find(|slot| {
            slot.compare_exchange(NONE, socket, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        });
        Self { slot, socket }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            let _ = slot.compare_exchange(self.socket, NONE, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_the_same_within_a_process() {
        assert_eq!(generation(), generation());
    }

    #[test]
    fn a_socket_is_forgotten_when_it_is_dropped() {
        let registered = |number| {
            let mut slots = SOCKETS.iter();
            slots.any(|slot| slot.load(Ordering::Relaxed) == number)
        };
        let socket = Socket::register(1_000_000);
        assert!(registered(1_000_000));
        drop(socket);
        assert!(!registered(1_000_000));
    }
}
