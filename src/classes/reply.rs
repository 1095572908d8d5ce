//! `Amqp1\Reply`.

use std::rc::Rc;

use amqp1_core::ValuesOf;
use ext_php_rs::boxed::ZBox;
use ext_php_rs::flags::ClassFlags;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendHashTable, Zval};

use super::task::{carried, headers, payload};
use crate::call::run;
use crate::convert::args::Text;
use crate::convert::{Bytes, Parameter};
use crate::fail::Fail;

/// The reply to a request. It is settled.
#[php_class]
#[php(name = "Amqp1\\Reply")]
#[php(flags = ClassFlags::Final.union(ClassFlags::NoDynamicProperties))]
#[derive(Debug)]
pub struct Reply {
    reply: Rc<amqp1_core::Reply>,
}

impl From<Rc<amqp1_core::Reply>> for Reply {
    fn from(reply: Rc<amqp1_core::Reply>) -> Self {
        Self { reply }
    }
}

impl Reply {
    fn header(&self, name: Text<'_>, method: &'static str) -> Result<Option<ValuesOf<'_>>, Fail> {
        let name = Parameter::of(method, 1, "name", "string").bytes(name.get())?;
        Ok(self.reply.headers().find(&name))
    }
}

#[php_impl]
impl Reply {
    /// Requests create them; PHP code cannot.
    #[php(vis = "private")]
    pub fn __construct() -> PhpResult<Self> {
        Err(
            "Amqp1\\Reply cannot be created with new: Amqp1\\AmqpQueue::request() returns replies"
                .into(),
        )
    }

    /// The id of the reply's own message.
    pub fn get_id(&self) -> Bytes {
        self.reply.id().into()
    }

    /// The worker's payload, decoded if it was sent as JSON.
    pub fn get_payload(&self) -> PhpResult<Zval> {
        run(|| payload::decoded("Reply::getPayload()", self.reply.contents()))
    }

    /// The payload's bytes.
    pub fn get_body(&self) -> Bytes {
        self.reply.contents().body().into()
    }

    /// All headers, each with its values.
    pub fn get_headers(&self) -> PhpResult<ZBox<ZendHashTable>> {
        run(|| headers::array(self.reply.headers()))
    }

    /// Whether there is a header with this name, regardless of case.
    pub fn has_header(&self, name: Text<'_>) -> PhpResult<bool> {
        run(|| Ok(self.header(name, "Reply::hasHeader()")?.is_some()))
    }

    /// The values of a header; an empty array if it is missing.
    pub fn get_header(&self, name: Text<'_>) -> PhpResult<Vec<Bytes>> {
        run(|| {
            let values = self.header(name, "Reply::getHeader()")?;
            let values = values.iter().flat_map(ValuesOf::iter);
            Ok(values.map(Bytes::from).collect())
        })
    }

    /// The values of a header as one string, separated by commas.
    pub fn get_header_line(&self, name: Text<'_>) -> PhpResult<Bytes> {
        run(|| {
            let values = self.header(name, "Reply::getHeaderLine()")?;
            let values = values.iter().flat_map(ValuesOf::iter);
            let values: Vec<&[u8]> = values.map(AsRef::as_ref).collect();
            Ok(values.join(&b", "[..]).into())
        })
    }

    /// All AMQP properties that are set.
    pub fn get_properties(&self) -> PhpResult<ZBox<ZendHashTable>> {
        run(|| carried::array(self.reply.properties()))
    }

    /// All message annotations.
    pub fn get_annotations(&self) -> PhpResult<ZBox<ZendHashTable>> {
        run(|| carried::array(self.reply.annotations()))
    }

    /// The format of its message.
    pub fn get_format(&self) -> String {
        self.reply.format().as_str().to_owned()
    }
}
