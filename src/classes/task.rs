//! `Amqp1\Task`.

pub(super) mod carried;
pub(super) mod failure;
pub(super) mod headers;
pub(super) mod payload;
mod reply;

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use amqp1_core::{Delivery, ValuesOf, Wait};
use ext_php_rs::boxed::ZBox;
use ext_php_rs::flags::ClassFlags;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendHashTable, Zval};

use super::observation::job;
use crate::call::{blocking, run};
use crate::callbacks::watchers::Watcher;
use crate::convert::args::{
    Cause, Delay, Mixed, Omitted, OptionalBool, OptionalText, Options, Reason, Text,
};
use crate::convert::job::read_headers;
use crate::convert::{Bytes, Date, Number, Parameter};
use crate::engine::garbage::Holder;
use crate::fail::Fail;

/// A job that a worker holds.
#[php_class]
#[php(name = "Amqp1\\Task")]
#[php(flags = ClassFlags::Final.union(ClassFlags::NoDynamicProperties))]
#[derive(Debug)]
pub struct Task {
    /// Cloned for each call: a signal handler may call any method while one blocks.
    delivery: Rc<Delivery>,
    /// Its queue's.
    observer: Option<Watcher>,
}

impl Holder for Task {
    fn held(&self, report: &mut dyn FnMut(&Zval)) {
        self.observer
            .iter()
            .for_each(|observer| report(observer.observer()));
    }
}

impl Task {
    /// Creates a task for PHP.
    pub fn new(delivery: Rc<Delivery>) -> Self {
        let observer = Watcher::of(delivery.observer());
        Self { delivery, observer }
    }

    fn settle(
        &self,
        call: impl FnOnce(&Delivery, &Wait<'_>) -> amqp1_core::Result<()>,
    ) -> Result<(), Fail> {
        let delivery = Rc::clone(&self.delivery);
        job::settled(&delivery, || {
            blocking(delivery.timeout(), |wait| call(&delivery, wait))
        })
    }

    fn header(&self, name: Text<'_>, method: &'static str) -> Result<Option<ValuesOf<'_>>, Fail> {
        let name = Parameter::of(method, 1, "name", "string").bytes(name.get())?;
        Ok(self.delivery.headers().find(&name))
    }
}

#[php_impl]
impl Task {
    /// Consumers create tasks; PHP code cannot.
    #[php(vis = "private")]
    pub fn __construct() -> PhpResult<Self> {
        Err(
            "Amqp1\\Task cannot be created with new: Amqp1\\Consumer::waitTask() returns tasks"
                .into(),
        )
    }

    /// The job's id.
    pub fn get_id(&self) -> Bytes {
        self.delivery.id().into()
    }

    /// The job's name.
    pub fn get_name(&self) -> Bytes {
        self.delivery.name().into()
    }

    /// The producer's payload, decoded if it was sent as JSON.
    pub fn get_payload(&self) -> PhpResult<Zval> {
        run(|| payload::decoded("Task::getPayload()", self.delivery.contents()))
    }

    /// The payload's bytes.
    pub fn get_body(&self) -> Bytes {
        self.delivery.body().into()
    }

    /// The message's body, with its format's wrapper or envelope.
    pub fn get_raw_body(&self) -> Bytes {
        (&self.delivery.contents().raw_body()[..]).into()
    }

    /// All headers, each with its values.
    pub fn get_headers(&self) -> PhpResult<ZBox<ZendHashTable>> {
        run(|| headers::array(self.delivery.headers()))
    }

    /// Whether there is a header with this name, regardless of case.
    pub fn has_header(&self, name: Text<'_>) -> PhpResult<bool> {
        run(|| Ok(self.header(name, "Task::hasHeader()")?.is_some()))
    }

    /// The values of a header; an empty array if it is missing.
    pub fn get_header(&self, name: Text<'_>) -> PhpResult<Vec<Bytes>> {
        run(|| {
            let values = self.header(name, "Task::getHeader()")?;
            let values = values.iter().flat_map(ValuesOf::iter);
            Ok(values.map(Bytes::from).collect())
        })
    }

    /// The values of a header as one string, separated by commas.
    pub fn get_header_line(&self, name: Text<'_>) -> PhpResult<Bytes> {
        run(|| {
            let values = self.header(name, "Task::getHeaderLine()")?;
            let values = values.iter().flat_map(ValuesOf::iter);
            let values: Vec<&[u8]> = values.map(AsRef::as_ref).collect();
            Ok(values.join(&b", "[..]).into())
        })
    }

    /// The name of the `AmqpQueue` that it came from.
    pub fn get_queue(&self) -> String {
        self.delivery.queue().to_owned()
    }

    /// The pipeline that its producer named.
    pub fn get_pipeline(&self) -> Bytes {
        self.delivery.pipeline().into()
    }

    /// The broker's address.
    pub fn get_source(&self) -> String {
        self.delivery.source().to_owned()
    }

    /// 1 at the first delivery.
    pub fn get_attempts(&self) -> i64 {
        i64::from(self.delivery.attempts())
    }

    /// The priority that its producer set.
    pub fn get_priority(&self) -> i64 {
        self.delivery.priority()
    }

    /// The delay that its producer set, in seconds.
    pub fn get_delay(&self) -> Number {
        Number(self.delivery.delay())
    }

    /// The format of its message.
    pub fn get_format(&self) -> String {
        self.delivery.format().as_str().to_owned()
    }

    /// The trace id, if the producer set one.
    pub fn get_trace_id(&self) -> Option<Bytes> {
        self.delivery.trace_id().map(Bytes::from)
    }

    /// All AMQP properties that are set.
    pub fn get_properties(&self) -> PhpResult<ZBox<ZendHashTable>> {
        run(|| carried::array(self.delivery.properties()))
    }

    /// All message annotations.
    pub fn get_annotations(&self) -> PhpResult<ZBox<ZendHashTable>> {
        run(|| carried::array(self.delivery.annotations()))
    }

    /// The body's content-type.
    pub fn get_content_type(&self) -> Option<Bytes> {
        self.delivery.content_type().map(Bytes::from)
    }

    /// The body's content-encoding.
    pub fn get_content_encoding(&self) -> Option<Bytes> {
        self.delivery.content_encoding().map(Bytes::from)
    }

    /// The address for answers.
    pub fn get_reply_to(&self) -> Option<Bytes> {
        self.delivery.reply_to().map(Bytes::from)
    }

    /// The AMQP property that also carries the trace id.
    pub fn get_correlation_id(&self) -> Option<Bytes> {
        self.delivery.correlation_id().map(Bytes::from)
    }

    /// The message's subject.
    pub fn get_subject(&self) -> Option<Bytes> {
        self.delivery.subject().map(Bytes::from)
    }

    /// The address that the message names itself.
    pub fn get_to(&self) -> Option<Bytes> {
        self.delivery.to().map(Bytes::from)
    }

    /// The user that sent the message.
    pub fn get_user_id(&self) -> Option<Bytes> {
        self.delivery.user_id().map(Bytes::from)
    }

    /// The message's group: on Service Bus, its session.
    pub fn get_group(&self) -> Option<Bytes> {
        self.delivery.group().map(Bytes::from)
    }

    /// The message's place in its group.
    pub fn get_group_sequence(&self) -> Option<i64> {
        let sequence = self.delivery.group_sequence();
        sequence.and_then(|sequence| i64::try_from(sequence).ok())
    }

    /// The routing key with which it came to its queue.
    pub fn get_routing_key(&self) -> Option<Bytes> {
        self.delivery.routing_key().map(Bytes::from)
    }

    /// When its producer made it.
    pub fn get_creation_time(&self) -> PhpResult<Option<Date>> {
        run(|| carried::date(self.delivery.created_at()))
    }

    /// When the broker got it.
    pub fn get_enqueued_time(&self) -> PhpResult<Option<Date>> {
        run(|| carried::date(self.delivery.enqueued_at()))
    }

    /// When it expires.
    pub fn get_expiry(&self) -> PhpResult<Option<Date>> {
        run(|| carried::date(self.delivery.expiry()))
    }

    /// Whether the broker delivered it before, to whomever.
    pub fn is_redelivered(&self) -> bool {
        self.delivery.is_redelivered()
    }

    /// AMQP's delivery-count.
    pub fn get_delivery_count(&self) -> i64 {
        i64::from(self.delivery.delivery_count())
    }

    /// Whether it was settled, in any way.
    pub fn is_completed(&self) -> bool {
        self.delivery.is_completed()
    }

    /// Whether it can no longer be settled and will be delivered again.
    pub fn is_lost(&self) -> bool {
        self.delivery.is_lost()
    }

    /// Its outcome, such as `acked` or `retried`.
    pub fn get_outcome(&self) -> Option<String> {
        let outcome = self.delivery.outcome();
        outcome.map(|outcome| outcome.as_str().to_owned())
    }

    /// Why it is in a failed queue; null if it is not in one.
    pub fn get_failure(&self) -> PhpResult<Option<ZBox<ZendHashTable>>> {
        run(|| {
            let failure = self.delivery.failure();
            failure.map(failure::array).transpose()
        })
    }

    /// Sends a reply to the producer; false if it is gone.
    #[php(defaults(options = Omitted))]
    pub fn reply(&self, payload: Mixed<'_>, options: Options<'_>) -> PhpResult<bool> {
        run(|| reply::send(&Rc::clone(&self.delivery), payload, options))
    }

    /// Acknowledges the job as done.
    pub fn ack(&self) -> PhpResult<()> {
        run(|| match self.delivery.can_ack_at_once() {
            true => {
                let delivery = Rc::clone(&self.delivery);
                job::settled(&delivery, || delivery.ack_at_once().map_err(Fail::Core))
            }
            false => self.settle(Delivery::ack),
        })
    }

    /// Marks the job as failed: it is retried or moved to the failed queue, by policy or by
    /// `requeue`.
    pub fn nack(&self, error: Cause<'_>, requeue: OptionalBool<'_>) -> PhpResult<()> {
        const METHOD: &str = "Task::nack()";
        run(|| {
            let failure = failure::cause(METHOD, error)?;
            let requeue = match requeue.get() {
                None => None,
                Some(requeue) => {
                    let parameter = Parameter::of(METHOD, 2, "requeue", "?bool");
                    Some(parameter.bool(requeue)?)
                }
            };
            self.settle(|delivery, wait| delivery.nack(failure.as_ref(), requeue, wait))
        })
    }

    /// Returns the job to the queue after `delay` seconds, with headers added or replaced.
    #[php(defaults(delay = Omitted, headers = Omitted))]
    pub fn release(
        &self,
        delay: Delay<'_>,
        headers: Options<'_>,
        reason: OptionalText<'_>,
    ) -> PhpResult<()> {
        const METHOD: &str = "Task::release()";
        run(|| {
            let delay = match delay.get() {
                Some(delay) => Parameter::of(METHOD, 1, "delay", "int|float").seconds(delay)?,
                None => Duration::ZERO,
            };
            let headers = match headers.get() {
                Some(headers) => {
                    let parameter = Parameter::of(METHOD, 2, "headers", "array");
                    read_headers(parameter.array(headers)?, &METHOD)?
                }
                None => Vec::new(),
            };
            let reason = optional_text(METHOD, 3, "reason", reason)?;
            self.settle(|delivery, wait| delivery.release(delay, &headers, reason.as_deref(), wait))
        })
    }

    /// Moves the job to the failed queue, whatever the policy.
    pub fn dead_letter(&self, reason: Reason<'_>, description: OptionalText<'_>) -> PhpResult<()> {
        const METHOD: &str = "Task::deadLetter()";
        run(|| {
            let description = optional_text(METHOD, 2, "description", description)?;
            let (reason, failure) = failure::reason(METHOD, reason)?;
            self.settle(|delivery, wait| {
                delivery.dead_letter(&reason, failure.as_ref(), description.as_deref(), wait)
            })
        })
    }

    /// Settles the job as done although it was not, on purpose.
    pub fn discard(&self) -> PhpResult<()> {
        run(|| self.settle(Delivery::discard))
    }

    /// Rejects the job, for the broker's dead-letter exchange or queue.
    pub fn reject(&self, reason: OptionalText<'_>, description: OptionalText<'_>) -> PhpResult<()> {
        const METHOD: &str = "Task::reject()";
        run(|| {
            let reason = optional_text(METHOD, 1, "reason", reason)?;
            let description = optional_text(METHOD, 2, "description", description)?;
            self.settle(|delivery, wait| {
                delivery.reject(reason.as_deref(), description.as_deref(), wait)
            })
        })
    }

    /// Sets the job aside: it is received again only by its sequence number.
    pub fn defer(&self) -> PhpResult<()> {
        run(|| self.settle(Delivery::defer))
    }

    /// Renews the broker's lock on the job now.
    pub fn renew(&self) -> PhpResult<()> {
        run(|| {
            let delivery = Rc::clone(&self.delivery);
            blocking(delivery.timeout(), |wait| delivery.renew_lock(wait))
        })
    }

    /// When the broker's lock ends, as far as known.
    pub fn get_locked_until(&self) -> PhpResult<Option<Date>> {
        run(|| carried::date(self.delivery.locked_until()))
    }

    /// The broker's number of the message.
    pub fn get_sequence_number(&self) -> Option<i64> {
        self.delivery.sequence_number()
    }

    /// Why it was released, if a reason was given then.
    pub fn get_release_reason(&self) -> Option<Bytes> {
        self.delivery.release_reason().map(Bytes::from)
    }
}

/// Reads a parameter of the type `?string`.
fn optional_text<'a>(
    method: &'static str,
    number: u32,
    name: &'static str,
    text: OptionalText<'a>,
) -> Result<Option<Cow<'a, str>>, Fail> {
    let parameter = Parameter::of(method, number, name, "?string");
    text.get()
        .map(|text| parameter.text(Some(text)))
        .transpose()
}
