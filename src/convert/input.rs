//! Arrays of options and configurations for the core, which checks names and values.

use std::fmt::Display;

use amqp1_core::Input;
use ext_php_rs::types::{ZendHashTable, Zval};

use super::value::{mismatch, scalar, utf8};
use crate::engine::table::{entries, is_list, Key};
use crate::fail::Fail;

/// Deeper arrays are not a valid configuration; with references, they may be infinite.
const MAX_DEPTH: usize = 16;

/// Converts an array of options.
pub fn input(value: &Zval, method: &dyn Display) -> Result<Input, Fail> {
    input_without(value, method, &[])
}

/// [`input`] without some options, which the caller reads.
pub fn input_without(
    value: &Zval,
    method: &dyn Display,
    left_out: &[Option<&str>],
) -> Result<Input, Fail> {
    let Some(array) = value.array() else {
        return Err(mismatch(method, "an array of options", value));
    };
    let mut map = Vec::with_capacity(array.len());
    for (key, item) in entries(array) {
        let key = text_key(key, method)?;
        if left_out.contains(&Some(key.as_str())) {
            continue;
        }
        let value = nested(item, &format_args!("{method}: option '{key}'"), 0)?;
        map.push((key, value));
    }
    Ok(Input::Map(map))
}

/// Converts a configuration's own sections. The others belong to other programs and may contain
/// anything.
pub fn configuration(array: &ZendHashTable, own: &[&str]) -> Result<Input, Fail> {
    let mut map = Vec::with_capacity(array.len());
    for (key, item) in entries(array) {
        let key = text_key(key, &"the configuration")?;
        let value = match own.contains(&key.as_str()) {
            true => nested(item, &key, 0)?,
            false => Input::Null,
        };
        map.push((key, value));
    }
    Ok(Input::Map(map))
}

/// Converts one pipeline of a configuration.
pub fn pipeline(array: &Zval, path: &dyn Display) -> Result<Input, Fail> {
    nested(array, path, 0)
}

fn nested(value: &Zval, path: &dyn Display, depth: usize) -> Result<Input, Fail> {
    let Some(array) = value.array() else {
        return scalar(value, "a scalar or an array", path);
    };
    if depth == MAX_DEPTH {
        return Err(Fail::config(format!(
            "{path}: the array is nested too deeply"
        )));
    }
    if is_list(array) {
        let items = entries(array).map(|(_, item)| nested(item, path, depth + 1));
        return Ok(Input::List(items.collect::<Result<_, _>>()?));
    }
    let mut map = Vec::with_capacity(array.len());
    for (key, item) in entries(array) {
        let key = text_key(key, path)?;
        no_object(&key, item, path)?;
        let value = nested(item, &format_args!("{path}.{key}"), depth + 1)?;
        map.push((key, value));
    }
    Ok(Input::Map(map))
}

/// Says where the objects belong that a configuration cannot carry: it may be kept in a file, and
/// its queues are made anew for each call.
fn no_object(key: &str, value: &Zval, path: &dyn Display) -> Result<(), Fail> {
    let all = match key {
        "observer" => "Amqp1\\setObserver()",
        "logger" => "Amqp1\\setLogger()",
        _ => return Ok(()),
    };
    match value.dereference().is_object() {
        true => Err(Fail::config(format!(
            "{path}.{key}: a configuration cannot carry an object; call {all}, which is for all pipelines, or pass it to new AmqpQueue()"
        ))),
        false => Ok(()),
    }
}

fn text_key(key: Key<'_>, path: &dyn Display) -> Result<String, Fail> {
    match key {
        Key::Name(name) => Ok(utf8(name, path)?.to_owned()),
        Key::Index(number) => Ok(number.to_string()),
    }
}
