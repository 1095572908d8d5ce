//! Unchecked configuration values from any source (a PHP array, YAML or JSON), and the type
//! conversions that PHP users expect.

use std::time::Duration;

use crate::error::{Error, Result};

/// Stands for "for ever", in seconds.
const CENTURY: f64 = 100.0 * 365.0 * 86_400.0;

/// An unchecked configuration value.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// PHP's null; means "not given".
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A double.
    Float(f64),
    /// UTF-8 text.
    Text(String),
    /// A list.
    List(Vec<Input>),
    /// A map, in its source's order.
    Map(Vec<(String, Input)>),
}

impl Input {
    /// The type's name in messages.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Input::Null => "null",
            Input::Bool(_) => "bool",
            Input::Int(_) => "int",
            Input::Float(_) => "float",
            Input::Text(_) => "string",
            Input::List(_) => "list",
            Input::Map(_) => "array",
        }
    }

    fn mismatch(&self, path: &str, expected: &str) -> Error {
        let given = match self {
            Input::Text(text) => format!("string '{}'", text.chars().take(40).collect::<String>()),
            Input::Int(number) => format!("int {number}"),
            Input::Float(number) => format!("float {number}"),
            other => other.type_name().to_owned(),
        };
        Error::config(format!("{path}: expected {expected}, got {given}"))
    }

    /// Reads text; numbers become their decimal form, as in PHP.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] with `path` for any other type.
    pub fn text(&self, path: &str) -> Result<String> {
        match self {
            Input::Text(text) => Ok(text.clone()),
            Input::Int(number) => Ok(number.to_string()),
            Input::Float(number) => Ok(number.to_string()),
            other => Err(other.mismatch(path, "a string")),
        }
    }

    /// Reads text that is not empty.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] with `path`.
    pub fn not_empty(&self, path: &str) -> Result<String> {
        let text = self.text(path)?;
        if text.is_empty() {
            return Err(Error::config(format!("{path}: must not be empty")));
        }
        Ok(text)
    }

    /// Reads an integer within `range`; numeric strings and whole floats are accepted.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] with `path` and the range.
    pub fn int(&self, path: &str, range: std::ops::RangeInclusive<i64>) -> Result<i64> {
        let expected = || format!("an int from {} to {}", range.start(), range.end());
        let number = match self {
            Input::Int(number) => Some(*number),
            Input::Float(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => {
                Some(*number as i64)
            }
            Input::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if range.contains(&number) => Ok(number),
            _ => Err(self.mismatch(path, &expected())),
        }
    }

    /// Reads a boolean; `1`, `0`, `"true"`, `"false"`, `"on"`, `"off"`, `"yes"`, `"no"`, `""` are
    /// accepted.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] with `path`.
    pub fn bool(&self, path: &str) -> Result<bool> {
        match self {
            Input::Bool(value) => Ok(*value),
            Input::Int(0) => Ok(false),
            Input::Int(1) => Ok(true),
            Input::Text(text) => match text.to_ascii_lowercase().as_str() {
                "1" | "true" | "on" | "yes" => Ok(true),
                "0" | "false" | "off" | "no" | "" => Ok(false),
                _ => Err(self.mismatch(path, "a bool")),
            },
            other => Err(other.mismatch(path, "a bool")),
        }
    }

    /// Reads seconds, whole or fractional, not negative. More than a century becomes a century, so
    /// that adding the duration to a time cannot overflow.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] with `path`.
    pub fn seconds(&self, path: &str) -> Result<Duration> {
        let seconds = match self {
            Input::Int(number) => Some(*number as f64),
            Input::Float(number) => Some(*number),
            Input::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        seconds
            .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds.min(CENTURY)).ok())
            .ok_or_else(|| self.mismatch(path, "a number of seconds, zero or more"))
    }

    /// The entries of a map; an empty list counts as an empty map, as in PHP.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] with `path`.
    pub fn map(&self, path: &str) -> Result<&[(String, Input)]> {
        match self {
            Input::Map(entries) => Ok(entries),
            Input::List(items) if items.is_empty() => Ok(&[]),
            other => Err(other.mismatch(path, "an array of name => value")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_that_no_clock_reaches_are_cut() {
        for forever in [Input::Int(i64::MAX), Input::Float(1.5e19)] {
            let seconds = forever.seconds("timeout").unwrap();
            // As a connection uses its heartbeat: neither sum may overflow.
            let _ = std::time::Instant::now() + seconds + seconds / 2;
        }
        assert!(Input::Float(f64::NAN).seconds("timeout").is_err());
        assert!(Input::Float(-1.0).seconds("timeout").is_err());
    }
}
