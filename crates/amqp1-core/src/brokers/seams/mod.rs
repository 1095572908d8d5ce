//! The seams between a broker's wing and the rest of the client: the questions that every broker
//! answers, and the hooks for behaviour that only some have. Names no wing.

pub(crate) mod companion;
pub(crate) mod detour;
pub(crate) mod dialect;
pub(crate) mod packing;
pub(crate) mod peek;
pub(crate) mod recipient;
pub(crate) mod replies;
pub(crate) mod subject;
