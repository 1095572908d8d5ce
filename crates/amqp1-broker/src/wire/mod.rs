//! What goes over the wire: frames, and the bounds check that comes before any decoding.

pub(crate) mod frame;
pub(crate) mod sasl;
pub(crate) mod scan;
pub(crate) mod section;
pub(crate) mod transfer;
pub(crate) mod unknown;
