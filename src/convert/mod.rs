//! Converts PHP's values to the core's types and back. Messages name the method and the parameter
//! or option.

pub mod args;
mod date;
mod failure;
mod input;
pub mod job;
mod parameter;
pub mod plain;
mod returned;
mod value;

pub use date::Date;
pub use failure::{failure, is_throwable};
pub use input::{configuration, input, input_without, pipeline};
pub use parameter::Parameter;
pub use returned::{Bytes, Number};
pub use value::{bool, bytes, delay, int, mismatch, not_empty, seconds, text, type_name};
