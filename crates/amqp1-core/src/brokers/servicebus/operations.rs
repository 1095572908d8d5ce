//! What a queue on Service Bus can do over its management node: schedule, cancel, look.

use std::time::Duration;

use super::constants::{MAX_COUNT, MESSAGE_STATE, PEEK, SEQUENCE_NUMBER};
use super::request::{find, Reply, Request};
use crate::base::id;
use crate::base::wait::{Signal, Wait};
use crate::connection::{ReceiverLink, ReceiverOptions, Settling};
use crate::error::{Error, ErrorKind, Result};
use crate::format;
use crate::format::envelope::{DelayMark, Envelope};
use crate::format::PropertyMapping;
use crate::job::Job;
use crate::queue::Queue;
use crate::reach::live::{Definition, Live};
use crate::reach::pool::Role;
use crate::wire::message::Message;
use crate::wire::read::Value;
use crate::wire::write;

/// Messages that a purge asks for at a time.
const PURGE_ROUND: u32 = 500;

/// What can be seen of a queue without taking anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Can be delivered, or is in somebody's hands: a peek does not tell.
    pub active: u64,
    /// Waits for its time.
    pub scheduled: u64,
}

impl Definition {
    /// The live connection to publish over, where it is one to Service Bus.
    fn service_bus(&self, what: &str, wait: &Wait<'_>) -> Result<Live> {
        if !self.presumed().is_service_bus() {
            return Err(Error::unsupported(format!(
                "{}: {what} is not possible: only Service Bus can do it",
                self.describe()
            )));
        }
        self.connect(Role::Publish, wait)
    }

    /// One operation of the queue's management node.
    fn operate(&self, what: &str, request: &Request, wait: &Wait<'_>) -> Result<Reply> {
        let done = self.surviving(&[Role::Publish], wait, || {
            let live = self.service_bus(what, wait)?;
            let Some(client) = &live.service_bus else {
                return Err(Error::connection("it is not Service Bus"));
            };
            let tokens = self.options.token.as_ref();
            client.operate(&self.broker_queue, request, tokens, wait)
        });
        done.map_err(|error| error.context(format!("{}: {what}", self.describe())))
    }

    /// The entity is there: it cannot be declared over AMQP.
    ///
    /// # Errors
    /// QueueNotFound when it is not.
    pub fn exists(&self, wait: &Wait<'_>) -> Result<()> {
        self.operate("setup()", &peek(0, 1, wait), wait).map(|_| ())
    }

    /// Looks at the messages, from the first to [`MAX_COUNT`] of them.
    pub fn look(&self, wait: &Wait<'_>) -> Result<Seen> {
        let (mut seen, mut from, mut looked_at) = (Seen::default(), 0_i64, 0_u64);
        while looked_at < MAX_COUNT {
            let request = peek(from, PEEK, wait);
            let reply = self.operate("counting", &request, wait)?;
            let found = reply.items("messages", |message| match message {
                Value::Map(mut map) => match find(&mut map, "message")? {
                    Value::Binary(bytes) => Some(state_and_number(bytes)),
                    _ => None,
                },
                _ => None,
            });
            let Some(last) = found.iter().filter_map(|(_, number)| *number).max() else {
                break;
            };
            looked_at += found.len() as u64;
            for (state, _) in found {
                match state {
                    0 => seen.active += 1,
                    2 => seen.scheduled += 1,
                    _ => {}
                }
            }
            from = last.saturating_add(1);
        }
        Ok(seen)
    }
}

fn peek(from: i64, count: i32, wait: &Wait<'_>) -> Request {
    Request::operation("peek-message", None, wait.left(), |out| {
        write::string(out, "from-sequence-number");
        write::long(out, from);
        write::string(out, "message-count");
        write::int(out, count);
        4
    })
}

/// The annotations that say what a message waits for, and its number.
fn state_and_number(message: &[u8]) -> (i64, Option<i64>) {
    let (mut state, mut number) = (0, None);
    let bytes = bytes::Bytes::copy_from_slice(message);
    if let Ok(message) = Message::parse(bytes) {
        if let Ok(Some(mut items)) = message.annotations() {
            while let Ok(Some((key, value))) = items.entry() {
                match key.as_text() {
                    Some(MESSAGE_STATE) => state = value.as_int().unwrap_or(0),
                    Some(SEQUENCE_NUMBER) => number = value.as_int(),
                    _ => {}
                }
            }
        }
    }
    (state, number)
}

impl Queue {
    /// Pushes a job that is to be delivered after `delay`; returns its number, by which
    /// [`Queue::cancel`] takes it back.
    ///
    /// # Errors
    /// As [`Queue::push`]; Unsupported everywhere but on Service Bus.
    pub fn schedule(&self, job: &Job<'_>, delay: Duration, wait: &Wait<'_>) -> Result<String> {
        job.check()?;
        let definition = self.definition();
        if !definition.presumed().is_service_bus() {
            definition.service_bus("schedule()", wait)?;
        }
        let options = &definition.options;
        let id = match &job.options.id {
            Some(id) => id.to_string(),
            None => id::job_id()?,
        };
        let envelope = Envelope {
            id: &id,
            pipeline: &definition.pipeline,
            durable: job.options.durable.unwrap_or(options.durable),
            priority: job.options.priority.or(options.priority),
            ttl: job.options.ttl.or(options.ttl),
            expires_at: None,
            // Also one that is due now gets a number.
            delay: delay.max(Duration::from_millis(1)),
            delay_mark: DelayMark::EnqueueTime,
            to: None,
            routing_key: None,
            partition_key: job.options.partition_key.as_deref(),
        };
        let mapping = || Ok(PropertyMapping::Typed);
        let message = format::encode(options.format, job, &envelope, mapping)?;
        let request = Request::operation("schedule-message", None, wait.left(), |out| {
            write::string(out, "messages");
            write::list(out, |out| {
                write::map(out, |out| {
                    write::string(out, "message-id");
                    write::string(out, &id);
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
        let reply = definition.operate("schedule()", &request, wait)?;
        let numbers = reply.items("sequence-numbers", |value| value.as_int());
        numbers.first().map(i64::to_string).ok_or_else(|| {
            Error::rejected(format!(
                "{}: schedule(): the service gave no number for job {id}",
                definition.describe()
            ))
        })
    }

    /// Takes a scheduled job back; false when it is not there (any more): it was delivered,
    /// or cancelled before.
    ///
    /// # Errors
    /// Config for what is no number of [`Queue::schedule`]; Unsupported everywhere but on
    /// Service Bus.
    pub fn cancel(&self, scheduled: &str, wait: &Wait<'_>) -> Result<bool> {
        let definition = self.definition();
        let number: i64 = scheduled.parse().map_err(|_| {
            Error::config("cancel(): expected what schedule() returned: a number as text")
        })?;
        if !definition.presumed().is_service_bus() {
            definition.service_bus("cancel()", wait)?;
        }
        let request = Request::operation("cancel-scheduled-message", None, wait.left(), |out| {
            write::string(out, "sequence-numbers");
            write::long_array(out, &[number]);
            2
        });
        match definition.operate("cancel()", &request, wait) {
            Ok(_) => Ok(true),
            // The one condition of "no such message" is a lock's, too.
            Err(error) if error.kind() == ErrorKind::TaskLost => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Receives and deletes what could be delivered.
    pub(crate) fn receive_and_delete(&self, wait: &Wait<'_>) -> Result<u64> {
        let definition = self.definition();
        let named = |error: Error| error.context(definition.describe());
        let live = definition.connect(Role::Consume, wait).map_err(named)?;
        let address = live.dialect.queue_address(&definition.broker_queue);
        live.authorize(definition, &address, wait).map_err(named)?;
        let options = ReceiverOptions {
            settling: Settling::Sent,
            ..ReceiverOptions::default()
        };
        let signal = Signal::new();
        let link = ReceiverLink::open(&live.connection, &address, &options, signal.clone());
        let link = link.map_err(named)?;
        let removed = remove_all(&link, &signal, wait);
        link.close();
        let (removed, ended) = removed.map_err(named)?;
        match ended {
            true => Ok(removed),
            false => Err(named(Error::timeout(format!(
                "purge() did not come to an end in time; {removed} jobs were removed"
            )))),
        }
    }
}

/// How many were removed, and whether that were all.
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
            // Before the buffer: what came before the answer is in it by then.
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
