//! A job as PHP gives it: name, payload, options, headers. Read straight into
//! the core's types, with nothing copied that can be borrowed.

mod body;
mod headers;
mod options;

pub use body::Body;
pub use headers::read_headers;
pub use options::read_options;
