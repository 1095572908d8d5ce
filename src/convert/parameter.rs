//! Method parameters that convert themselves by PHP's rules.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use ext_php_rs::types::{ZendHashTable, Zval};
use ext_php_rs::zend::ce;

use super::value::{bool, bytes, int, seconds, text, type_name};
use crate::fail::Fail;

/// A method parameter and its messages: PHP's own for a wrong type, and `Class::method(): $name: …`
/// for a wrong value.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// As in `AmqpQueue::push()`.
    method: &'static str,
    /// Counted from 1.
    number: u32,
    /// Without the dollar sign.
    name: &'static str,
    /// In PHP's notation.
    expected: &'static str,
}

impl Display for Parameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ${}", self.method, self.name)
    }
}

impl Parameter {
    /// The parameter `$name` of a method, with its position and its type in PHP's notation.
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

    /// A scalar or Stringable; anything else is a `TypeError`.
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

    /// UTF-8 text, by PHP's type juggling.
    pub fn text<'a>(&self, value: Option<&'a Zval>) -> Result<Cow<'a, str>, Fail> {
        let value = self.scalar(value)?;
        match value.bool() {
            Some(value) => Ok(Cow::Borrowed(if value { "1" } else { "" })),
            None => text(value, self),
        }
    }

    /// A string of any bytes, by PHP's type juggling.
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

    pub fn bool(&self, value: &Zval) -> Result<bool, Fail> {
        bool(self.scalar(Some(value))?, self)
    }

    /// An integer within `range`.
    pub fn int(&self, value: Option<&Zval>, range: RangeInclusive<i64>) -> Result<i64, Fail> {
        int(self.scalar(value)?, range, self)
    }

    pub fn array<'a>(&self, value: &'a Zval) -> Result<&'a ZendHashTable, Fail> {
        value.array().ok_or_else(|| self.wrong_type(Some(value)))
    }
}
