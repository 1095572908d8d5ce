//! `Amqp1\PeekedTask`.

use amqp1_core::{Peeked, ValuesOf};
use ext_php_rs::boxed::ZBox;
use ext_php_rs::flags::ClassFlags;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendHashTable, Zval};

use super::task::{carried, failure, headers, payload};
use crate::call::run;
use crate::convert::args::Text;
use crate::convert::{Bytes, Date, Parameter};
use crate::fail::Fail;

/// A job that was looked at: it stays in its queue, so it has no methods that settle it.
#[php_class]
#[php(name = "Amqp1\\PeekedTask")]
#[php(flags = ClassFlags::Final.union(ClassFlags::NoDynamicProperties))]
#[derive(Debug)]
pub struct PeekedTask {
    peeked: Peeked,
}

impl From<Peeked> for PeekedTask {
    fn from(peeked: Peeked) -> Self {
        Self { peeked }
    }
}

impl PeekedTask {
    fn header(&self, name: Text<'_>, method: &'static str) -> Result<Option<ValuesOf<'_>>, Fail> {
        let name = Parameter::of(method, 1, "name", "string").bytes(name.get())?;
        Ok(self.peeked.headers().find(&name))
    }
}

#[php_impl]
impl PeekedTask {
    /// Queues create them; PHP code cannot.
    #[php(vis = "private")]
    pub fn __construct() -> PhpResult<Self> {
        Err(
            "Amqp1\\PeekedTask cannot be created with new: Amqp1\\AmqpQueue::peek() returns them"
                .into(),
        )
    }

    /// The job's id.
    pub fn get_id(&self) -> Bytes {
        self.peeked.id().into()
    }

    /// The job's name.
    pub fn get_name(&self) -> Bytes {
        self.peeked.name().into()
    }

    /// The producer's payload, decoded if it was sent as JSON.
    pub fn get_payload(&self) -> PhpResult<Zval> {
        run(|| payload::decoded("PeekedTask::getPayload()", self.peeked.contents()))
    }

    /// The payload's bytes.
    pub fn get_body(&self) -> Bytes {
        self.peeked.contents().body().into()
    }

    /// The message's body, with its format's wrapper or envelope.
    pub fn get_raw_body(&self) -> Bytes {
        (&self.peeked.contents().raw_body()[..]).into()
    }

    /// All headers, each with its values.
    pub fn get_headers(&self) -> PhpResult<ZBox<ZendHashTable>> {
        run(|| headers::array(self.peeked.headers()))
    }

    /// Whether there is a header with this name, regardless of case.
    pub fn has_header(&self, name: Text<'_>) -> PhpResult<bool> {
        run(|| Ok(self.header(name, "PeekedTask::hasHeader()")?.is_some()))
    }

    /// The values of a header; an empty array if it is missing.
    pub fn get_header(&self, name: Text<'_>) -> PhpResult<Vec<Bytes>> {
        run(|| {
            let values = self.header(name, "PeekedTask::getHeader()")?;
            let values = values.iter().flat_map(ValuesOf::iter);
            Ok(values.map(Bytes::from).collect())
        })
    }

    /// The values of a header as one string, separated by commas.
    pub fn get_header_line(&self, name: Text<'_>) -> PhpResult<Bytes> {
        run(|| {
            let values = self.header(name, "PeekedTask::getHeaderLine()")?;
            let values = values.iter().flat_map(ValuesOf::iter);
            let values: Vec<&[u8]> = values.map(AsRef::as_ref).collect();
            Ok(values.join(&b", "[..]).into())
        })
    }

    /// The name of the `AmqpQueue` that it is in.
    pub fn get_queue(&self) -> String {
        self.peeked.queue().to_owned()
    }

    /// The pipeline that its producer named.
    pub fn get_pipeline(&self) -> Bytes {
        self.peeked.pipeline().into()
    }

    /// The attempts so far.
    pub fn get_attempts(&self) -> i64 {
        i64::from(self.peeked.attempts())
    }

    /// The priority that its producer set.
    pub fn get_priority(&self) -> i64 {
        self.peeked.priority()
    }

    /// The format of its message.
    pub fn get_format(&self) -> String {
        self.peeked.format().as_str().to_owned()
    }

    /// The trace id, if the producer set one.
    pub fn get_trace_id(&self) -> Option<Bytes> {
        self.peeked.trace_id().map(Bytes::from)
    }

    /// The message's group: on Service Bus, its session.
    pub fn get_group(&self) -> Option<Bytes> {
        self.peeked.group().map(Bytes::from)
    }

    /// All AMQP properties that are set.
    pub fn get_properties(&self) -> PhpResult<ZBox<ZendHashTable>> {
        run(|| carried::array(self.peeked.properties()))
    }

    /// All message annotations.
    pub fn get_annotations(&self) -> PhpResult<ZBox<ZendHashTable>> {
        run(|| carried::array(self.peeked.annotations()))
    }

    /// When its producer made it.
    pub fn get_creation_time(&self) -> PhpResult<Option<Date>> {
        run(|| carried::date(self.peeked.created_at()))
    }

    /// When the broker got it.
    pub fn get_enqueued_time(&self) -> PhpResult<Option<Date>> {
        run(|| carried::date(self.peeked.enqueued_at()))
    }

    /// When it expires.
    pub fn get_expiry(&self) -> PhpResult<Option<Date>> {
        run(|| carried::date(self.peeked.expiry()))
    }

    /// Why it is in a failed queue; null if it is not in one.
    pub fn get_failure(&self) -> PhpResult<Option<ZBox<ZendHashTable>>> {
        run(|| self.peeked.failure().map(failure::array).transpose())
    }

    /// The broker's number of the message.
    pub fn get_sequence_number(&self) -> i64 {
        self.peeked.number()
    }

    /// `active`, `deferred` or `scheduled`.
    pub fn get_state(&self) -> String {
        self.peeked.state().as_str().to_owned()
    }
}
