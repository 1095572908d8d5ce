//! Reads the contents of a job.
//!
//! Texts are the original bytes, because a foreign message may not be UTF-8.

use bstr::BStr;

use super::Delivery;
use crate::format::contents::Contents;
use crate::format::{Format, HeadersOf};

impl Delivery {
    /// The job's id.
    pub fn id(&self) -> &BStr {
        self.decoded.id()
    }

    /// The job's name; for a foreign message its subject, or `deduced_by_rr`.
    pub fn name(&self) -> &BStr {
        self.decoded.name()
    }

    /// The body, any bytes.
    pub fn body(&self) -> &[u8] {
        self.decoded.body()
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

    /// The name of the queue (the pipeline) that it came from.
    pub fn queue(&self) -> &str {
        &self.definition.pipeline
    }

    /// The endpoint without secrets.
    pub fn endpoint(&self) -> &str {
        self.definition.endpoint.label()
    }

    /// The broker's name of the queue.
    pub fn broker_queue(&self) -> &str {
        &self.definition.broker_queue
    }

    /// The name of the broker's dialect.
    pub fn dialect(&self) -> &'static str {
        self.link.dialect.name()
    }

    /// The number of its queue's observer, zero if it has none.
    pub fn observer(&self) -> u64 {
        self.definition.options.observer
    }

    /// The pipeline that its producer named, or else the one that it came from.
    pub fn pipeline(&self) -> &BStr {
        match self.decoded.pipeline() {
            Some(pipeline) => pipeline,
            None => self.definition.pipeline.as_str().into(),
        }
    }

    /// The broker's address of the queue.
    pub fn source(&self) -> &str {
        &self.link.address
    }

    /// Its priority, or else the queue's.
    pub fn priority(&self) -> i64 {
        let configured = self.definition.options.priority;
        self.decoded
            .priority
            .unwrap_or_else(|| i64::from(configured.unwrap_or(4)))
    }

    /// The delay that its producer set, in seconds.
    pub fn delay(&self) -> f64 {
        self.decoded.delay
    }

    /// The trace id, from correlation-id.
    pub fn trace_id(&self) -> Option<&BStr> {
        self.decoded.trace_id()
    }
}
