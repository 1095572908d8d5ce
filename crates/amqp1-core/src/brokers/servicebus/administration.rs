//! The companion's administrative operations on queues.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::companion::ServiceBusCompanion;
use super::constants::MAX_COUNT;
use super::holding::ServiceBusHolding;
use super::peek;
use super::request::{Reply, Request};
use crate::base::wait::{Signal, Wait};
use crate::brokers::seams::companion::holding::{Holding, SessionWish};
use crate::brokers::seams::companion::Companion;
use crate::brokers::seams::peek::{in_rounds, PeekedMessage, PeekedState, PEEK_ROUND};
use crate::brokers::seams::subject::{Figures, Subject};
use crate::connection::{ReceiverLink, ReceiverOptions, Settling};
use crate::error::{Error, ErrorKind, Result};
use crate::format;
use crate::format::envelope::{DelayMark, Envelope};
use crate::format::PropertyMapping;
use crate::job::properties::JobProperties;
use crate::job::Job;
use crate::settings::spec::Spec;
use crate::wire::write;

/// The number of messages that a purge requests at a time.
const PURGE_ROUND: u32 = 500;

impl ServiceBusCompanion {
    /// Executes one operation of the queue's management node.
    fn manage(&self, spec: &Spec, what: &str, request: &Request, wait: &Wait<'_>) -> Result<Reply> {
        let tokens = spec.options.token.as_ref();
        let done = self.operate(&spec.broker_queue, request, tokens, wait);
        done.map_err(|error| error.context(format!("{}: {what}", spec.describe())))
    }
}

impl Companion for ServiceBusCompanion {
    fn has_errands(&self) -> bool {
        self.asks_application()
    }

    fn next_errand(&self) -> Option<Instant> {
        self.next_question()
    }

    fn run_errands(&self, spec: &Spec, wait: &Wait<'_>) -> Result<()> {
        self.ask_if_due(spec.options.token.as_ref(), wait)
    }

    fn authorize(&self, spec: &Spec, address: &str, wait: &Wait<'_>) -> Result<()> {
        self.authorize(address, spec.options.token.as_ref(), wait)
    }

    fn forget_tokens(&self) {
        self.forget_tokens();
    }

    fn receiver(
        self: Arc<Self>,
        spec: &Spec,
        address: &str,
        session: Option<SessionWish<'_>>,
        options: &mut ReceiverOptions,
    ) -> Result<Option<Box<dyn Holding>>> {
        let holding = ServiceBusHolding::of(self, spec, address, session, options)?;
        Ok(Some(Box::new(holding)))
    }

    /// Only checks that the entity exists, because it cannot be declared over AMQP.
    fn setup(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<()> {
        self.manage(queue.spec, "setup()", &peek::request(0, 1, wait), wait)
            .map(|_| ())
    }

    /// Receives and deletes the messages that could be delivered.
    fn purge(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<u64> {
        let spec = queue.spec;
        let address = &spec.broker_queue;
        self.authorize(address, spec.options.token.as_ref(), wait)?;
        let options = ReceiverOptions {
            settling: Settling::Sent,
            ..ReceiverOptions::default()
        };
        let signal = Signal::new();
        let link = ReceiverLink::open(&self.connection, address, &options, signal.clone())?;
        let removed = remove_all(&link, &signal, wait);
        link.close();
        match removed? {
            (removed, true) => Ok(removed),
            (removed, false) => Err(Error::timeout(format!(
                "purge() did not finish in time; {removed} jobs were removed"
            ))),
        }
    }

    /// Peeks at the messages, up to the first [`MAX_COUNT`]. A peek does not show whether a message
    /// can be delivered or is locked.
    fn figures(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<Figures> {
        let (mut active, mut scheduled) = (0, 0);
        let (mut from, mut looked_at) = (0_i64, 0_u64);
        while looked_at < MAX_COUNT {
            let request = peek::request(from, PEEK_ROUND, wait);
            let found = peek::messages(&self.manage(queue.spec, "counting", &request, wait)?);
            let Some(last) = found.iter().map(|message| message.number).max() else {
                break;
            };
            looked_at += found.len() as u64;
            for message in found {
                match message.state {
                    PeekedState::Active => active += 1,
                    PeekedState::Scheduled => scheduled += 1,
                    PeekedState::Deferred => {}
                }
            }
            from = last.saturating_add(1);
        }
        Ok(Figures {
            ready: active,
            delayed: Some(scheduled),
            reserved: None,
            consumers: None,
        })
    }

    fn peek(
        &self,
        queue: &Subject<'_>,
        from: i64,
        max: u32,
        wait: &Wait<'_>,
    ) -> Result<Vec<PeekedMessage>> {
        in_rounds(from, max, |from, count| {
            let request = peek::request(from, count, wait);
            let reply = self.manage(queue.spec, "peek()", &request, wait)?;
            Ok(peek::messages(&reply))
        })
    }

    fn schedule(
        &self,
        spec: &Spec,
        (job, id): (&Job<'_>, &str),
        delay: Duration,
        wait: &Wait<'_>,
    ) -> Result<String> {
        let options = &spec.options;
        let own = job.options.properties.as_deref();
        let properties = JobProperties::with_defaults(own, options.properties.as_deref());
        format::check(options.format, job, &properties, id)?;
        let envelope = Envelope {
            id,
            pipeline: &spec.pipeline,
            durable: job.options.durable.unwrap_or(options.durable),
            priority: job.options.priority.or(options.priority),
            ttl: job.options.ttl.or(options.ttl),
            expires_at: None,
            // Even a job that is due now needs a number.
            delay: delay.max(Duration::from_millis(1)),
            delay_mark: DelayMark::EnqueueTime,
            to: None,
            routing_key: None,
            partition_key: job.options.partition_key.as_deref(),
            properties: &properties,
            without_body: false,
        };
        let mapping = || Ok(PropertyMapping::Typed);
        let message = format::encode(options.format, job, &envelope, mapping)?;
        let request = Request::operation("schedule-message", None, wait.left(), |out| {
            write::string(out, "messages");
            write::list(out, |out| {
                write::map(out, |out| {
                    write::string(out, "message-id");
                    write::string(out, id);
                    write::string(out, "message");
                    write::binary(out, &message);
                    let mut count = 4;
                    for (name, value) in [
                        ("session-id", job.options.group.as_deref()),
                        ("partition-key", job.options.partition_key.as_deref()),
                    ] {
                        if let Some(value) = value {
                            write::string(out, name);
                            write::string(out, value);
                            count += 2;
                        }
                    }
                    count
                });
                1
            });
            2
        });
        let reply = self.manage(spec, "schedule()", &request, wait)?;
        let numbers = reply.items("sequence-numbers", |value| value.as_int());
        numbers.first().map(i64::to_string).ok_or_else(|| {
            Error::rejected(format!(
                "{}: schedule(): the service returned no number for job {id}",
                spec.describe()
            ))
        })
    }

    fn cancel(&self, spec: &Spec, number: i64, wait: &Wait<'_>) -> Result<bool> {
        let request = Request::operation("cancel-scheduled-message", None, wait.left(), |out| {
            write::string(out, "sequence-numbers");
            write::long_array(out, &[number]);
            2
        });
        match self.manage(spec, "cancel()", &request, wait) {
            Ok(_) => Ok(true),
            // The service has one condition for a missing message and for a lost lock.
            Err(error) if error.kind() == ErrorKind::TaskLost => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Removes messages; returns how many, and whether those were all.
fn remove_all(link: &ReceiverLink, signal: &Signal, wait: &Wait<'_>) -> Result<(u64, bool)> {
    let attached = wait.until(signal, || Ok(link.attached()?.then_some(())))?;
    if attached.is_none() {
        return Ok((0, false));
    }
    let mut removed = 0;
    loop {
        link.demand(PURGE_ROUND, true)?;
        let mut round = 0;
        let ended = wait.until(signal, || {
            // Checked before the buffer, which by then contains everything that came before the
            // answer.
            let drained = link.is_drained()?;
            while link.take()?.is_some() {
                round += 1;
            }
            Ok((drained || round >= PURGE_ROUND).then_some(()))
        })?;
        removed += u64::from(round);
        match ended {
            None => return Ok((removed, false)),
            Some(()) if round < PURGE_ROUND => return Ok((removed, true)),
            Some(()) => {}
        }
    }
}
