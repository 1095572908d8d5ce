//! A reply. It is settled already, and belongs to the request that waited for it.

use bstr::{BStr, BString};

use crate::format::carried::CORRELATION_ID;
use crate::format::contents::Contents;
use crate::format::{Carried, Decoded, Format, HeadersOf};

/// The reply to a request.
#[derive(Debug)]
pub struct Reply {
    decoded: Decoded,
}

impl Reply {
    pub(crate) fn new(decoded: Decoded) -> Self {
        Self { decoded }
    }

    /// The id of the request that it answers.
    pub(crate) fn request_id(&self) -> Option<BString> {
        self.decoded.property_text(CORRELATION_ID)
    }

    /// The id of its own message; empty if it has none.
    pub fn id(&self) -> &BStr {
        self.decoded.id()
    }

    /// The body, and how to read it.
    pub fn contents(&self) -> Contents<'_> {
        Contents::of(&self.decoded)
    }

    /// The format of its message.
    pub fn format(&self) -> Format {
        self.decoded.format
    }

    /// Headers in order, each with at least one value.
    pub fn headers(&self) -> HeadersOf<'_> {
        self.decoded.headers()
    }

    /// All AMQP properties that are set, by their names in PHP.
    pub fn properties(&self) -> Vec<(&'static str, Carried)> {
        self.decoded.properties()
    }

    /// All message annotations in order.
    pub fn annotations(&self) -> Vec<(BString, Carried)> {
        self.decoded.annotations()
    }
}
