//! A job's payload.

use std::borrow::Cow;
use std::fmt::Display;

use amqp1_core::Payload;
use ext_php_rs::boxed::ZBox;
use ext_php_rs::types::{ZendStr, Zval};

use crate::engine::json;
use crate::fail::Fail;

/// A payload's bytes, together with their owner.
pub enum Body<'a> {
    /// A PHP string, unchanged.
    Text(Cow<'a, [u8]>),
    /// The JSON of any other value.
    Json(Option<ZBox<ZendStr>>),
}

impl<'a> Body<'a> {
    /// Reads a payload: a string stays unchanged, any other value becomes JSON. May run
    /// `jsonSerialize()`.
    ///
    /// # Errors
    /// The encoder's error, or the exception of `jsonSerialize()`.
    pub fn read(payload: Option<&'a Zval>, method: &dyn Display) -> Result<Self, Fail> {
        const NULL: &Zval = &Zval::new();
        let payload = payload.unwrap_or(NULL);
        match payload.zend_str() {
            Some(string) if payload.is_reference() => {
                Ok(Self::Text(Cow::Owned(string.as_bytes().to_vec())))
            }
            Some(string) => Ok(Self::Text(Cow::Borrowed(string.as_bytes()))),
            None => Ok(Self::Json(json::encode(payload.dereference(), method)?)),
        }
    }

    /// The payload, borrowed.
    pub fn payload(&self) -> Payload<'_> {
        match self {
            Self::Text(bytes) => Payload {
                bytes: Cow::Borrowed(bytes),
                json: false,
            },
            Self::Json(json) => Payload {
                bytes: Cow::Borrowed(json.as_ref().map_or(&[], |json| json.as_bytes())),
                json: true,
            },
        }
    }
}
