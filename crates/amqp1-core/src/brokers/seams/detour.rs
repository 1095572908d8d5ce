//! How a delayed job reaches its destination.

use crate::format::envelope::DelayMark;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Detour {
    /// Directly, with an annotation that makes the broker delay it.
    Marked(DelayMark),
    /// Through a queue with this address, which holds it until then.
    Through(String),
}
