//! What a user may write: options, DSN, retry policy, and the checks that refuse the rest.

pub mod endpoint;
pub mod input;
pub mod options;
pub mod place;
pub mod retry;
pub mod suggest;
pub mod topology_options;
