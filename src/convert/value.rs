//! Single values, with the type juggling that PHP users expect.
//!
//! Strings are borrowed, but not from a PHP reference: a signal handler that runs while a method
//! blocks could change the referenced variable.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use amqp1_core::Input;
use ext_php_rs::types::{ZendObject, ZendStr, Zval};
use ext_php_rs::zend::{ce, ClassEntry};

use crate::engine::{guarded, text};
use crate::fail::Fail;

/// The type of a value, as PHP's own messages name it.
pub fn type_name(value: &Zval) -> String {
    let value = value.dereference();
    if let Some(object) = value.object() {
        return class_name(object).unwrap_or_else(|| "object".to_owned());
    }
    match value {
        value if value.is_null() => "null",
        value if value.is_bool() => "bool",
        value if value.is_long() => "int",
        value if value.is_double() => "float",
        value if value.is_string() => "string",
        value if value.is_array() => "array",
        _ => "resource",
    }
    .to_owned()
}

/// The class name. For an anonymous class, it omits the file and line that follow a NUL.
pub(super) fn class_name(object: &ZendObject) -> Option<String> {
    let mut name = object.get_class_name().ok()?;
    name.truncate(name.find('\0').unwrap_or(name.len()));
    Some(name)
}

/// `PATH: expected EXPECTED, got TYPE`.
pub fn mismatch(path: &dyn Display, expected: &str, value: &Zval) -> Fail {
    Fail::config(format!(
        "{path}: expected {expected}, got {}",
        type_name(value)
    ))
}

pub(super) fn utf8<'a>(string: &'a ZendStr, path: &dyn Display) -> Result<&'a str, Fail> {
    text::text(string).ok_or_else(|| {
        Fail::config(format!(
            "{path}: expected UTF-8 text (put binary data into the payload)"
        ))
    })
}

/// The string of a Stringable object. Runs PHP code.
fn stringable(value: &Zval) -> Result<Option<Zval>, Fail> {
    match value.object() {
        Some(object) if object.instance_of(ce::stringable()) => {
            let string = guarded(|| object.try_call_method("__tostring", Vec::new()))?;
            Ok(string.ok())
        }
        _ => Ok(None),
    }
}

/// A scalar (or Stringable), for the core's own conversions and messages.
pub(super) fn scalar(value: &Zval, expected: &str, path: &dyn Display) -> Result<Input, Fail> {
    let value = value.dereference();
    if let Some(string) = stringable(value)? {
        return scalar(&string, expected, path);
    }
    Ok(match value {
        value if value.is_null() => Input::Null,
        value if value.is_bool() => Input::Bool(value.is_true()),
        value if value.is_long() => Input::Int(value.long().unwrap_or_default()),
        value if value.is_double() => Input::Float(value.double().unwrap_or_default()),
        value => match value.zend_str() {
            Some(string) => Input::Text(utf8(string, path)?.to_owned()),
            None => return Err(mismatch(path, expected, value)),
        },
    })
}

/// UTF-8 text; numbers become their decimal form.
pub fn text<'a>(value: &'a Zval, path: &dyn Display) -> Result<Cow<'a, str>, Fail> {
    if !value.is_reference() {
        if let Some(string) = value.zend_str() {
            return Ok(Cow::Borrowed(utf8(string, path)?));
        }
    }
    let input = scalar(value, "a string", path)?;
    Ok(Cow::Owned(input.text(&path.to_string())?))
}

/// A string of any bytes; numbers become their decimal form.
pub fn bytes<'a>(value: &'a Zval, path: &dyn Display) -> Result<Cow<'a, [u8]>, Fail> {
    match value.zend_str() {
        Some(string) if value.is_reference() => Ok(Cow::Owned(string.as_bytes().to_vec())),
        Some(string) => Ok(Cow::Borrowed(string.as_bytes())),
        None => text(value, path).map(|text| match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }),
    }
}

/// [`text`] that is not empty.
pub fn not_empty<'a>(value: &'a Zval, path: &dyn Display) -> Result<Cow<'a, str>, Fail> {
    let text = text(value, path)?;
    if text.is_empty() {
        return Err(Fail::config(format!("{path}: must not be empty")));
    }
    Ok(text)
}

/// An integer within `range`; numeric strings and whole floats are accepted.
pub fn int(value: &Zval, range: RangeInclusive<i64>, path: &dyn Display) -> Result<i64, Fail> {
    match value.long() {
        Some(number) if range.contains(&number) => Ok(number),
        _ => {
            let expected = format!("an int from {} to {}", range.start(), range.end());
            let input = scalar(value, &expected, path)?;
            Ok(input.int(&path.to_string(), range)?)
        }
    }
}

/// A boolean; 1, 0 and their usual spellings are accepted.
pub fn bool(value: &Zval, path: &dyn Display) -> Result<bool, Fail> {
    match value.bool() {
        Some(value) => Ok(value),
        None => Ok(scalar(value, "a bool", path)?.bool(&path.to_string())?),
    }
}

/// Seconds, whole or fractional, not negative.
pub fn seconds(value: &Zval, path: &dyn Display) -> Result<Duration, Fail> {
    match value.long().map(u64::try_from) {
        Some(Ok(number)) => Ok(Duration::from_secs(number)),
        _ => {
            let input = scalar(value, "a number of seconds", path)?;
            Ok(input.seconds(&path.to_string())?)
        }
    }
}

/// [`seconds`], or the time until a `DateTimeInterface`; zero if it has passed.
pub fn delay(value: &Zval, path: &dyn Display) -> Result<Duration, Fail> {
    let Some(object) = value.object() else {
        return seconds(value, path);
    };
    let is_date = ClassEntry::try_find("DateTimeInterface")
        .is_some_and(|interface| object.instance_of(interface));
    if !is_date {
        return Err(mismatch(
            path,
            "a number of seconds or a DateTimeInterface",
            value,
        ));
    }
    // Seconds and microseconds since 1970; getTimestamp() would lose the fraction.
    let due = guarded(|| object.try_call_method("format", vec![&"U.u"]))?
        .ok()
        .and_then(|due| due.str().and_then(|due| due.parse::<f64>().ok()));
    let Some(due) = due else {
        return Err(mismatch(path, "a valid date", value));
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let left = (due - now.as_secs_f64()).max(0.0);
    Duration::try_from_secs_f64(left)
        .map_err(|_| Fail::config(format!("{path}: the date is too far in the future")))
}
