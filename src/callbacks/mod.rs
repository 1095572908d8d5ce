//! PHP callables that outlive the call they were given to.
//!
//! They are called on PHP's thread alone, which is where they are kept; the core has
//! a number for each.

pub mod lost;
pub mod token;
