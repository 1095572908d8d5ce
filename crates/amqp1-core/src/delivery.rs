//! One job in a worker's hands.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use crate::connection::ReceiverLink;
use crate::error::{Error, ErrorKind, Result};
use crate::fork;
use crate::format::{roadrunner, Decoded};
use crate::job::{HeaderValue, Job, JobOptions, Payload};
use crate::live::Definition;
use crate::publisher::{Extra, Publisher};
use crate::route::Destination;
use crate::source::Attached;
use crate::wait::Wait;
use crate::wire::state;

/// Longest error text that travels with a failed job, in bytes.
const MAX_ERROR: usize = 4096;

/// Why a job failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// The error's message.
    pub message: String,
    /// The exception's class, when there was one.
    pub exception: Option<String>,
}

/// One job. Dropped unsettled, it is delivered again when its consumer closes.
#[derive(Debug)]
pub struct Delivery {
    decoded: Decoded,
    definition: Arc<Definition>,
    attached: Attached,
    delivery_id: u32,
    completed: AtomicBool,
    generation: u64,
}

impl Delivery {
    pub(crate) fn new(
        decoded: Decoded,
        definition: Arc<Definition>,
        attached: Attached,
        delivery_id: u32,
        settled: bool,
    ) -> Self {
        Self {
            decoded,
            definition,
            attached,
            delivery_id,
            completed: AtomicBool::new(settled),
            generation: fork::generation(),
        }
    }

    /// The job's id.
    pub fn id(&self) -> &str {
        &self.decoded.id
    }

    /// The job's name; a foreign message's subject, or `deduced_by_rr`.
    pub fn name(&self) -> &str {
        &self.decoded.name
    }

    /// The body, any bytes.
    pub fn body(&self) -> &[u8] {
        &self.decoded.body
    }

    /// The body is JSON: it was pushed as something other than a string.
    pub fn is_json(&self) -> bool {
        self.decoded.json
    }

    /// Headers in order, each with at least one value.
    pub fn headers(&self) -> &[(String, Vec<String>)] {
        let message = &self.decoded.message;
        self.decoded
            .headers
            .get_or_init(|| roadrunner::headers(message))
    }

    /// Name of the queue (the pipeline) it was taken from.
    pub fn queue(&self) -> &str {
        &self.definition.pipeline
    }

    /// The pipeline its producer named; the one it was taken from when it named none.
    pub fn pipeline(&self) -> &str {
        let pipeline = self.decoded.pipeline.as_deref();
        pipeline.unwrap_or(&self.definition.pipeline)
    }

    /// The broker's address of the queue.
    pub fn source(&self) -> &str {
        &self.attached.address
    }

    /// 1 at the first delivery.
    pub fn attempts(&self) -> u32 {
        self.decoded.earlier_attempts.saturating_add(1)
    }

    /// The priority asked for; the queue's when the message names none.
    pub fn priority(&self) -> i64 {
        let configured = self.definition.options.priority;
        self.decoded
            .priority
            .unwrap_or_else(|| i64::from(configured.unwrap_or(4)))
    }

    /// The delay asked for, in seconds.
    pub fn delay(&self) -> f64 {
        self.decoded.delay
    }

    /// The trace id, from correlation-id.
    pub fn trace_id(&self) -> Option<&str> {
        self.decoded.trace_id.as_deref()
    }

    /// Settled, by any of the four ways, or on receipt.
    pub fn is_completed(&self) -> bool {
        self.completed.load(Ordering::Relaxed)
    }

    /// The deadline of settlements that wait for the broker.
    pub fn timeout(&self) -> Duration {
        self.definition.options.timeout
    }

    /// True for the first settlement only.
    fn complete(&self) -> bool {
        !self.completed.swap(true, Ordering::Relaxed)
    }

    fn link(&self) -> Result<&ReceiverLink> {
        if self.generation != fork::generation() {
            return Err(Error::connection("it belongs to the parent process"));
        }
        Ok(&self.attached.link)
    }

    fn lost(&self, error: &Error) -> Error {
        Error::task_lost(format!(
            "job {} of {}: it can no longer be settled and will be delivered again: {error}",
            self.id(),
            self.definition.describe()
        ))
    }

    /// The job is done. Told to the broker within milliseconds, together with others.
    ///
    /// # Errors
    /// [`ErrorKind::TaskLost`] when the delivery died with its connection.
    pub fn ack(&self, _wait: &Wait<'_>) -> Result<()> {
        if !self.complete() {
            return Ok(());
        }
        let accepted = self.link().and_then(|link| link.accept(self.delivery_id));
        accepted.map_err(|error| self.lost(&error))
    }

    /// The job failed: back to its queue, counted as an attempt; or, with
    /// `requeue` false, to the failed queue. Nothing when the delivery is lost.
    ///
    /// # Errors
    /// What the copy to the failed queue failed with; the job is then unsettled.
    pub fn nack(
        &self,
        failure: Option<&Failure>,
        requeue: Option<bool>,
        wait: &Wait<'_>,
    ) -> Result<()> {
        if requeue == Some(false) {
            return self.dead_letter("failed", failure, None, wait);
        }
        if !self.attached.dialect.counts_deliveries() {
            return self.put_back_counted(wait);
        }
        if self.complete() {
            self.give_back(&[]);
        }
        Ok(())
    }

    /// Back to the queue, after `delay`, with headers added or replaced.
    /// Nothing when the delivery is lost.
    ///
    /// # Errors
    /// What the copy failed with, where one is needed (a delay the broker does
    /// not have for redeliveries, or headers); the job is then unsettled.
    pub fn release(
        &self,
        delay: Duration,
        headers: &[(Cow<'_, str>, HeaderValue<'_>)],
        wait: &Wait<'_>,
    ) -> Result<()> {
        if self.is_completed() || self.link().is_err() {
            return Ok(());
        }
        let native = delay.is_zero() || self.attached.dialect.delays_redelivery();
        if headers.is_empty() && native {
            if self.complete() {
                let at = roadrunner::now_millis().saturating_add(delay.as_millis() as i64);
                match delay.is_zero() {
                    true => self.give_back(&[]),
                    false => self.give_back(&[("x-opt-delivery-time", at)]),
                }
            }
            return Ok(());
        }
        let queue = Destination::Queue(self.definition.broker_queue.clone());
        let extra = Extra {
            pipeline: Some(self.pipeline()),
            attempts: self.attempts(),
            failure: &[],
        };
        self.replace(queue, delay, headers, &extra, wait)
    }

    /// To the failed queue (`<queue>.failed`), with reason, error, exception
    /// class, original queue, attempts and time. Nothing when the delivery is lost.
    ///
    /// # Errors
    /// What the copy to the failed queue failed with; the job is then unsettled.
    pub fn dead_letter(
        &self,
        reason: &str,
        failure: Option<&Failure>,
        description: Option<&str>,
        wait: &Wait<'_>,
    ) -> Result<()> {
        if self.is_completed() || self.link().is_err() {
            return Ok(());
        }
        let text = |text: &str| HeaderValue::Text(Cow::Owned(bounded(text).to_owned()));
        let mut facts = vec![
            ("rr_failed_reason", text(reason)),
            (
                "rr_failed_queue",
                HeaderValue::Text(Cow::Borrowed(&self.definition.broker_queue)),
            ),
            ("rr_failed_at", HeaderValue::Int(roadrunner::now_millis())),
        ];
        if let Some(error) = description.or(failure.map(|failure| failure.message.as_str())) {
            facts.push(("rr_failed_error", text(error)));
        }
        if let Some(exception) = failure.and_then(|failure| failure.exception.as_deref()) {
            facts.push(("rr_failed_exception", text(exception)));
        }
        let extra = Extra {
            pipeline: Some(self.pipeline()),
            attempts: self.attempts(),
            failure: &facts,
        };
        let queue = Destination::Queue(format!("{}.failed", self.definition.broker_queue));
        self.replace(queue, Duration::ZERO, &[], &extra, wait)
    }

    /// Back to the queue as a copy that carries the count which its broker does not keep.
    fn put_back_counted(&self, wait: &Wait<'_>) -> Result<()> {
        let attached = self.link().and_then(ReceiverLink::attached);
        if self.is_completed() || attached.is_err() {
            self.complete();
            return Ok(());
        }
        let queue = Destination::Queue(self.definition.broker_queue.clone());
        let extra = Extra {
            pipeline: Some(self.pipeline()),
            attempts: self.attempts(),
            failure: &[],
        };
        self.replace(queue, Duration::ZERO, &[], &extra, wait)
    }

    /// Refused for good. Nothing when the delivery is lost: it comes again.
    pub(crate) fn reject(&self, condition: &str, description: &str) {
        if self.complete() {
            if let Ok(link) = self.link() {
                let _ = link.settle(self.delivery_id, &state::rejected(condition, description));
            }
        }
    }

    /// Given back to the broker, counted as a failed delivery where it counts them.
    fn give_back(&self, annotations: &[(&str, i64)]) {
        let modified = match self.attached.dialect.counts_deliveries() {
            true => state::modified(true, annotations),
            false => state::released(),
        };
        // A delivery that is lost is given back already.
        if let Ok(link) = self.link() {
            let _ = link.settle(self.delivery_id, &modified);
        }
    }

    /// A confirmed copy first, then the original: a crash in between makes
    /// two of it, never none.
    fn replace(
        &self,
        destination: Destination,
        delay: Duration,
        headers: &[(Cow<'_, str>, HeaderValue<'_>)],
        extra: &Extra<'_>,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let job = self.copy(delay, headers);
        let mut publisher = Publisher::new(Arc::clone(&self.definition));
        publisher.send(&job, self.id(), destination, extra, wait)?;
        if let Some((_, error)) = publisher.finish(wait)?.into_iter().next() {
            return Err(error.context(format!("copy of job {}", self.id())));
        }
        if self.complete() {
            match self.link().and_then(|link| link.accept(self.delivery_id)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                // Lost meanwhile: it comes again, beside its copy.
                _ => {}
            }
        }
        Ok(())
    }

    fn copy<'a>(
        &'a self,
        delay: Duration,
        changed: &'a [(Cow<'a, str>, HeaderValue<'a>)],
    ) -> Job<'a> {
        let kept = self
            .headers()
            .iter()
            .filter(|(name, _)| !changed.iter().any(|(new, _)| new == name));
        let mut headers: Vec<(Cow<'_, str>, HeaderValue<'_>)> = kept
            .map(|(name, values)| {
                let mut texts = values.iter().map(|v| HeaderValue::Text(Cow::Borrowed(v)));
                let value = match (texts.next(), values.len()) {
                    (Some(only), 1) => only,
                    (first, _) => HeaderValue::List(first.into_iter().chain(texts).collect()),
                };
                (Cow::Borrowed(name.as_str()), value)
            })
            .collect();
        headers.extend(changed.iter().cloned());
        Job {
            name: Cow::Borrowed(self.name()),
            payload: Payload {
                bytes: Cow::Borrowed(self.body()),
                json: self.is_json(),
            },
            options: JobOptions {
                priority: u8::try_from(self.priority()).ok(),
                delay: Some(delay),
                headers,
                trace_id: self.trace_id().map(Cow::Borrowed),
                group: self.decoded.group.as_deref().map(Cow::Borrowed),
                durable: Some(self.decoded.durable),
                auto_ack: Some(self.decoded.auto_ack),
                ..JobOptions::default()
            },
        }
    }
}

/// The text, cut at a character boundary if it is too long.
fn bounded(text: &str) -> &str {
    if text.len() <= MAX_ERROR {
        return text;
    }
    let mut end = MAX_ERROR;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
