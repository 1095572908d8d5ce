//! What several wings make their companions of.

pub(crate) mod again;
pub(crate) mod asking;
pub(crate) mod memo;
