//! A job's payload.

use std::borrow::Cow;
use std::fmt::Display;

use amqp1_core::{Keep, Kept, Payload};
use ext_php_rs::boxed::ZBox;
use ext_php_rs::types::{ZendStr, Zval};

use crate::engine::json;
use crate::fail::Fail;

/// A PHP string.
#[derive(Debug)]
pub struct Text<'a> {
    string: &'a ZendStr,
    value: &'a Zval,
}

impl Keep for Text<'_> {
    fn keep(&self) -> Kept {
        Kept::new(Share(self.value.shallow_clone()))
    }
}

/// A share of a PHP string, which PHP does not change as long as anyone else has one.
struct Share(Zval);

impl AsRef<[u8]> for Share {
    fn as_ref(&self) -> &[u8] {
        self.0.zend_str().map_or(&[], ZendStr::as_bytes)
    }
}

/// A payload's bytes, together with their owner.
pub enum Body<'a> {
    /// A PHP string, unchanged.
    Text(Text<'a>),
    /// A copy of a PHP string.
    Copy(Vec<u8>),
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
            Some(string) if payload.is_reference() => Ok(Self::Copy(string.as_bytes().to_vec())),
            Some(string) => Ok(Self::Text(Text {
                string,
                value: payload,
            })),
            None => Ok(Self::Json(json::encode(payload.dereference(), method)?)),
        }
    }

    /// The payload, borrowed.
    pub fn payload(&self) -> Payload<'_> {
        match self {
            Self::Text(text) => Payload {
                bytes: Cow::Borrowed(text.string.as_bytes()),
                json: false,
                keep: Some(text),
            },
            Self::Copy(bytes) => Payload {
                bytes: Cow::Borrowed(bytes),
                json: false,
                keep: None,
            },
            Self::Json(json) => Payload {
                bytes: Cow::Borrowed(json.as_ref().map_or(&[], |json| json.as_bytes())),
                json: true,
                keep: None,
            },
        }
    }
}
