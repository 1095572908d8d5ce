//! The listener for jobs that may be lost while PHP processes them.

use std::sync::OnceLock;

static LISTENER: OnceLock<fn()> = OnceLock::new();

/// Sets the listener for jobs that may be lost while PHP processes them. It is called on the
/// client's own thread and under its locks, so it may do no more than set a flag. Later calls are
/// ignored.
pub fn on_lost(listener: fn()) {
    let _ = LISTENER.set(listener);
}

/// Tells the listener that jobs in progress may be lost.
pub(crate) fn tell() {
    if let Some(listener) = LISTENER.get() {
        listener();
    }
}
