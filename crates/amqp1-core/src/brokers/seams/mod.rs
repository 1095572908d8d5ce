//! The seams between a broker's wing and the rest: what every broker is asked, and what some of them do in a way of
//! their own.

pub(crate) mod companion;
pub(crate) mod detour;
pub(crate) mod dialect;
pub(crate) mod packing;
pub(crate) mod recipient;
pub(crate) mod subject;
