//! Telling a forked child from its parent.
#![allow(unsafe_code)] // The one place in this crate: see `generation`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Once;

static GENERATION: AtomicU64 = AtomicU64::new(1);
static REGISTER: Once = Once::new();

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Differs between a process and its forked children: what was made under
/// another generation belongs to the parent and is neither used nor torn down.
///
/// Counted by a fork handler, because asking for the process id is a system
/// call, and this is asked several times a job.
#[must_use]
pub fn generation() -> u64 {
    REGISTER.call_once(|| {
        // SAFETY: the handler only adds to an atomic, which is allowed between
        // fork and exec; glibc forgets it when the library it belongs to is
        // unloaded.
        let registered = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        debug_assert_eq!(registered, 0);
    });
    GENERATION.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_stays_the_same_within_a_process() {
        assert_eq!(super::generation(), super::generation());
    }
}
