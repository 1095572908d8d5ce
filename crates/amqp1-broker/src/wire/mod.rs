//! The wire format: frames, and the bounds check before any decoding. Knows no connection and no
//! dialect.

pub(crate) mod frame;
pub(crate) mod sasl;
pub(crate) mod scan;
pub(crate) mod section;
pub(crate) mod transfer;
pub(crate) mod unknown;
