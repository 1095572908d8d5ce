//! The values that a job sets itself, as AMQP values: its message annotations, and one header.

use crate::job::properties::JobProperties;
use crate::job::HeaderValue;
use crate::wire::write;

/// Writes the annotations that the job sets itself; returns the count of keys and values.
pub(super) fn own_annotations(out: &mut Vec<u8>, of: &JobProperties<'_>) -> u32 {
    for (name, value) in &of.annotations {
        write::symbol(out, name);
        match value {
            HeaderValue::List(values) => write::list(out, |out| {
                values.iter().for_each(|value| scalar(out, value));
                values.len() as u32
            }),
            value => scalar(out, value),
        }
    }
    of.annotations.len() as u32 * 2
}

/// Writes a scalar.
pub(super) fn scalar(out: &mut Vec<u8>, value: &HeaderValue<'_>) {
    match value {
        HeaderValue::Text(text) => write::string(out, text),
        HeaderValue::Int(value) => write::long(out, *value),
        HeaderValue::Float(value) => write::double(out, *value),
        HeaderValue::Bool(value) => write::bool(out, *value),
        HeaderValue::List(_) => write::null(out),
    }
}
