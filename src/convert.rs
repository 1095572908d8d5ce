//! zvals to the core's types, with the juggling PHP users expect and messages
//! that name the method and the option.
//!
//! Strings are borrowed. Not from a PHP reference, though: a signal handler that
//! runs while a method blocks could change the variable behind it.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use amqp1_core::{Failure, Input};
use ext_php_rs::types::{ZendHashTable, ZendObject, ZendStr, Zval};
use ext_php_rs::zend::{ce, ClassEntry};

use crate::boundary::Fail;
use crate::engine::guarded;
use crate::table::{entries, is_list, Key};

/// Deeper arrays are not configuration (and may be endless, through references).
const MAX_DEPTH: usize = 16;

/// A list's index as PHP counts.
pub fn index(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}

/// The type of a value as PHP's own messages call it.
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

/// The class, without the file and line that an anonymous one's name has behind a NUL.
fn class_name(object: &ZendObject) -> Option<String> {
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

fn utf8<'a>(string: &'a ZendStr, path: &dyn Display) -> Result<&'a str, Fail> {
    string.as_str().map_err(|_| {
        Fail::config(format!(
            "{path}: expected UTF-8 text (binary data belongs into the payload)"
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

/// A scalar (or Stringable) for the core's own coercions and messages.
fn scalar(value: &Zval, expected: &str, path: &dyn Display) -> Result<Input, Fail> {
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

/// An integer within `range`; numeric strings and whole floats count.
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

/// A boolean; 1, 0 and their usual spellings count.
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

/// [`seconds`], or the time left until a `DateTimeInterface`; none when that is past.
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
        .map_err(|_| Fail::config(format!("{path}: the date is too far away")))
}

/// An array of options for the core, which checks the names and values.
pub fn input(value: &Zval, method: &dyn Display) -> Result<Input, Fail> {
    input_without(value, method, None)
}

/// [`input`] without one option, which its caller reads.
pub fn input_without(
    value: &Zval,
    method: &dyn Display,
    left_out: Option<&str>,
) -> Result<Input, Fail> {
    let Some(array) = value.array() else {
        return Err(mismatch(method, "an array of options", value));
    };
    let mut map = Vec::with_capacity(array.len());
    for (key, item) in entries(array) {
        let key = text_key(key, method)?;
        if left_out == Some(key.as_str()) {
            continue;
        }
        let value = nested(item, &format_args!("{method}: option '{key}'"), 0)?;
        map.push((key, value));
    }
    Ok(Input::Map(map))
}

/// A configuration's own sections; the others are somebody else's, and may be anything.
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
        let value = nested(item, &format_args!("{path}.{key}"), depth + 1)?;
        map.push((key, value));
    }
    Ok(Input::Map(map))
}

fn text_key(key: Key<'_>, path: &dyn Display) -> Result<String, Fail> {
    match key {
        Key::Name(name) => Ok(utf8(name, path)?.to_owned()),
        Key::Index(number) => Ok(number.to_string()),
    }
}

/// Why a job failed, from an exception.
pub fn failure(throwable: &Zval) -> Result<Failure, Fail> {
    let Some(object) = throwable.object() else {
        return Ok(Failure::default());
    };
    let message = guarded(|| object.try_call_method("getmessage", Vec::new()))?;
    Ok(Failure {
        message: message
            .ok()
            .map(|message| lossy(&message))
            .unwrap_or_default(),
        exception: class_name(object),
    })
}

/// Whether a value is a `Throwable`.
pub fn is_throwable(value: &Zval) -> bool {
    value
        .object()
        .is_some_and(|object| object.instance_of(ce::throwable()))
}

/// The text of an error, whatever its encoding.
pub fn lossy(value: &Zval) -> String {
    value.zend_str().map_or_else(String::new, |string| {
        String::from_utf8_lossy(string.as_bytes()).into_owned()
    })
}

/// A parameter of a method, for messages: PHP's own for a wrong type, and
/// `Class::method(): $name: …` for a wrong value.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// `AmqpQueue::push()`.
    method: &'static str,
    /// Counted from 1.
    number: u32,
    /// Without the dollar.
    name: &'static str,
    /// As PHP writes it.
    expected: &'static str,
}

impl Display for Parameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ${}", self.method, self.name)
    }
}

impl Parameter {
    /// The parameter `$name` of a method: its number, and its type as PHP writes it.
    pub const fn of(
        method: &'static str,
        number: u32,
        name: &'static str,
        expected: &'static str,
    ) -> Self {
        Self {
            method,
            number,
            name,
            expected,
        }
    }

    /// PHP's `TypeError` for this parameter.
    pub fn wrong_type(&self, value: Option<&Zval>) -> Fail {
        let Self {
            method,
            number,
            name,
            expected,
        } = self;
        let given = value.map_or_else(|| "none".to_owned(), type_name);
        Fail::Type(format!(
            "Amqp1\\{method}: Argument #{number} (${name}) must be of type {expected}, {given} given"
        ))
    }

    /// A scalar or Stringable, anything else is a `TypeError`.
    fn scalar<'a>(&self, value: Option<&'a Zval>) -> Result<&'a Zval, Fail> {
        match value {
            Some(value) if value.is_scalar() => Ok(value),
            Some(value)
                if value
                    .object()
                    .is_some_and(|o| o.instance_of(ce::stringable())) =>
            {
                Ok(value)
            }
            other => Err(self.wrong_type(other)),
        }
    }

    /// UTF-8 text, by PHP's juggling.
    pub fn text<'a>(&self, value: Option<&'a Zval>) -> Result<Cow<'a, str>, Fail> {
        let value = self.scalar(value)?;
        match value.bool() {
            Some(value) => Ok(Cow::Borrowed(if value { "1" } else { "" })),
            None => text(value, self),
        }
    }

    /// A string of any bytes, by PHP's juggling.
    pub fn bytes<'a>(&self, value: Option<&'a Zval>) -> Result<Cow<'a, [u8]>, Fail> {
        let value = self.scalar(value)?;
        match value.bool() {
            Some(value) => Ok(Cow::Borrowed(if value { b"1" } else { b"" })),
            None => bytes(value, self),
        }
    }

    /// Seconds, not negative.
    pub fn seconds(&self, value: &Zval) -> Result<Duration, Fail> {
        seconds(self.scalar(Some(value))?, self)
    }

    /// A boolean.
    pub fn bool(&self, value: &Zval) -> Result<bool, Fail> {
        bool(self.scalar(Some(value))?, self)
    }

    /// An integer within `range`.
    pub fn int(&self, value: Option<&Zval>, range: RangeInclusive<i64>) -> Result<i64, Fail> {
        int(self.scalar(value)?, range, self)
    }

    /// An array.
    pub fn array<'a>(&self, value: &'a Zval) -> Result<&'a ZendHashTable, Fail> {
        value.array().ok_or_else(|| self.wrong_type(Some(value)))
    }
}
