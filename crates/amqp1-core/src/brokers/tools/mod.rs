//! Tools from which several wings build their companions. Names no wing.

pub(crate) mod again;
pub(crate) mod asking;
pub(crate) mod memo;
