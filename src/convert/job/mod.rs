//! A job from PHP: name, payload, options, headers. It is read directly into the core's types,
//! borrowed where possible.

mod body;
mod headers;
mod options;

pub use body::Body;
pub use headers::read_headers;
pub use options::read_options;
