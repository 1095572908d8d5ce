//! How a job that is delayed gets to where it goes.

use crate::format::envelope::DelayMark;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Detour {
    /// To where it goes, with a mark by which the broker holds it back.
    Marked(DelayMark),
    /// To a queue of this address, which holds it until then.
    Through(String),
}
