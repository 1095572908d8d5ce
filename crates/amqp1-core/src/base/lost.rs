//! Who wants to hear at once that jobs in hand may be lost.

use std::sync::OnceLock;

static LISTENER: OnceLock<fn()> = OnceLock::new();

/// Has `listener` called whenever jobs in PHP's hands may have been lost: on the client's own
/// thread and under its locks, so that it can do no more than to raise a flag. The first one
/// stays.
pub fn on_lost(listener: fn()) {
    let _ = LISTENER.set(listener);
}

/// Something in hand may be lost.
pub(crate) fn tell() {
    if let Some(listener) = LISTENER.get() {
        listener();
    }
}
