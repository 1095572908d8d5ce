//! The body of a job, and how to read it.

use bstr::BStr;
use bytes::Bytes;

use super::body::{self, Plain};
use super::{Decoded, Format};

/// The body of a job, with what its reader must know.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a>(&'a Decoded);

impl<'a> Contents<'a> {
    pub(crate) fn of(decoded: &'a Decoded) -> Self {
        Self(decoded)
    }

    /// The job's id, for messages.
    #[must_use]
    pub fn id(&self) -> &'a BStr {
        self.0.id()
    }

    /// The job's name, for messages.
    #[must_use]
    pub fn name(&self) -> &'a BStr {
        self.0.name()
    }

    /// The body, any bytes.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.0.body()
    }

    /// The message's body, with the wrapper or envelope of its format.
    #[must_use]
    pub fn raw_body(&self) -> Bytes {
        match self.0.format {
            Format::Amqp1 | Format::Babelqueue => body::bytes(&self.0.message).ok(),
            Format::Roadrunner | Format::Raw => None,
        }
        .unwrap_or_else(|| self.0.body_bytes())
    }

    /// Whether the body is JSON, because the payload was not a string.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.0.json
    }

    /// The value from which the JSON body was made, if the message contains an AMQP value or
    /// sequence.
    #[must_use]
    pub fn value(&self) -> Option<Plain> {
        body::plain(&self.0.message).ok().flatten()
    }

    /// Whether its body is compressed, for example, so that it may not be what its content-type
    /// says.
    #[must_use]
    pub fn has_encoded_body(&self) -> bool {
        self.0.has_encoded_body()
    }
}
