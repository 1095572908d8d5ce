//! Sends jobs and collects their outcomes.
//!
//! A job that was sent but not settled when its connection was lost is sent again with the same
//! message-id, within the deadline. A confirmed job is never sent again.

mod copies;
mod kept;
mod message;
mod resend;
mod settle;
mod verify;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use self::message::Message;
use crate::base::clock::now_millis;
use crate::base::fork;
use crate::base::memory::{self, Block};
use crate::base::pauses::{FRESH, FRESH_TRIES};
use crate::base::wait::Wait;
use crate::brokers::Packing;
use crate::connection::{Confirmation, Tracked, Tracker};
use crate::error::{Error, ErrorKind, Result};
use crate::format::envelope::Envelope;
use crate::format::{self, Format};
use crate::job::properties::JobProperties;
use crate::job::{Job, JobOptions};
use crate::publish::route::{Route, Taker};
use crate::reach::definition::Definition;
use crate::reach::destination::Destination;
use crate::reach::pool::{self, Role};

/// The most unconfirmed jobs.
const WINDOW: usize = 2048;
/// The bytes of unconfirmed jobs ([`Message::weight`]) from which the next one waits. They are kept
/// to be sent again.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;
/// The number of jobs written together, and their bytes.
const GATHER: u64 = 32;
const GATHER_BYTES: usize = 64 * 1024;
/// Larger messages wait for the answer to the attach, because it contains the broker's limit.
const LARGE: usize = 64 * 1024;
/// Payloads from this size on stay in the caller's memory if they can.
const KEPT: usize = 64 * 1024;

/// A message that waits for its outcome.
#[derive(Debug)]
struct Sent {
    message: Message,
    destination: Destination,
    delay: Duration,
    /// The message has a `to` that is not the route's.
    has_own_to: bool,
    taker: Taker,
    resent: u32,
}

/// Sends jobs of one queue, pipelined, and collects their outcomes.
#[derive(Debug)]
pub(crate) struct Publisher {
    definition: Arc<Definition>,
    /// The format of its messages: the queue's, unless they are replies.
    format: Format,
    tracker: Tracker,
    /// By index from `base`; `None` once the outcome is known.
    window: VecDeque<Option<Sent>>,
    base: u64,
    /// The weight of unconfirmed jobs.
    bytes: usize,
    /// The bytes of jobs that were not sent at once, since the last one that was.
    gathered: usize,
    /// The socket has not accepted a large job in time.
    is_stuck: bool,
    outcomes: Vec<(u64, Confirmation)>,
    lost: Vec<(u64, Error)>,
    /// Accepted jobs whose queue may not exist.
    unsure: Vec<u64>,
    failures: Vec<(u64, Error)>,
    /// Only for many jobs.
    block: Option<Block>,
    /// Packs many jobs into one message.
    packing: Option<Box<dyn Packing>>,
    generation: u64,
}

impl Publisher {
    pub fn new(definition: Arc<Definition>) -> Self {
        let kept = Self::kept();
        Self {
            format: definition.options.format,
            definition,
            tracker: kept.tracker,
            window: kept.window,
            base: 0,
            bytes: 0,
            gathered: 0,
            is_stuck: false,
            outcomes: kept.outcomes,
            lost: Vec::new(),
            unsure: Vec::new(),
            failures: Vec::new(),
            block: None,
            packing: None,
            generation: fork::generation(),
        }
    }

    /// For replies, in the format of their requests.
    pub fn for_replies(definition: Arc<Definition>, format: Format) -> Self {
        let mut publisher = Self::new(definition);
        publisher.format = format;
        publisher
    }

    /// For many jobs, which are packed together if the broker supports it.
    pub fn for_many(definition: Arc<Definition>) -> Self {
        let packing = definition.presumed().packing();
        let mut publisher = Self::new(definition);
        publisher.packing = packing;
        publisher.block = Some(Block::default());
        publisher
    }

    /// The caller's iterable may fork between two jobs. The parent gets the outcomes, and in the
    /// child the tracker may be locked for ever.
    fn check_process(&self) -> Result<()> {
        if self.generation == fork::generation() {
            return Ok(());
        }
        Err(Error::interrupted(
            "the process was forked while jobs were being sent: the parent process sends them",
        ))
    }

    /// Its queue.
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// The index of the next job.
    pub fn next_index(&self) -> u64 {
        self.base + self.window.len() as u64
    }

    /// All jobs before this index have an outcome; the failed ones are in the list.
    pub fn progress(&self) -> (u64, &[(u64, Error)]) {
        (self.base, &self.failures)
    }

    /// Whether there is an open connection for publishing.
    pub fn is_connected(&self) -> bool {
        pool::is_connected(&self.definition.endpoint, Role::Publish)
    }

    /// Uses up an index without a job, so that later jobs keep theirs.
    pub fn skip(&mut self, error: Error) {
        self.failures.push((self.next_index(), error));
        self.window.push_back(None);
        self.trim();
    }

    /// Sends one job. If it fails, nothing was sent; [`Publisher::next_index`] tells whether an
    /// interrupted job was.
    pub fn send(
        &mut self,
        job: &Job<'_>,
        id: &str,
        destination: Destination,
        wait: &Wait<'_>,
    ) -> Result<()> {
        self.check_process()?;
        let definition = Arc::clone(&self.definition);
        let options = &definition.options;
        let own = job.options.properties.as_deref();
        // The defaults are for the queue's jobs.
        let usual = options.properties.as_deref();
        let usual = usual.filter(|_| !matches!(destination, Destination::ReplyTo(_)));
        let properties = JobProperties::with_defaults(own, usual);
        format::check(self.format, job, &properties, id)
            .map_err(|error| error.context(definition.describe()))?;
        if job.options.partition_key.is_some() && !definition.presumed().has_partitions() {
            return Err(Error::unsupported(format!(
                "{}: option 'partition_key': this broker has no partitions; remove the option",
                definition.describe()
            )));
        }
        let delay = job.options.delay.or(options.delay).unwrap_or_default();
        let has_own_to = properties.to.is_some();
        let route = self.routed((&destination, has_own_to), delay, wait)?;
        if properties.to.is_some() || properties.user_id.is_some() {
            self.check_properties(&properties, wait)?;
        }
        let is_usual = destination == Destination::Usual;
        let is_packed = self.packing.is_some() && is_usual;
        let keep = job.payload.keep.filter(|_| {
            job.payload.bytes.len() >= KEPT
                && !is_packed
                && format::ends_with_payload(options.format)
        });
        let ttl = job.options.ttl.or(options.ttl);
        let expires_in = ttl.filter(|_| route.ttl_is_lost).map(|ttl| ttl + delay);
        let envelope = Envelope {
            id,
            pipeline: &definition.pipeline,
            durable: job.options.durable.unwrap_or(options.durable),
            priority: job.options.priority.or(options.usual_priority()),
            ttl: ttl.filter(|_| !route.ttl_is_lost),
            expires_at: expires_in.map(|after| now_millis() + after.as_millis() as i64),
            delay,
            delay_mark: route.delay_mark,
            to: route.to.as_deref(),
            routing_key: definition.routing_key_of(&destination),
            partition_key: job.options.partition_key.as_deref(),
            properties: &properties,
            without_body: keep.is_some(),
        };
        let mapping = || {
            let connected = definition.connect(Role::Publish, wait)?;
            Ok(connected.dialect.property_mapping())
        };
        let payload = format::encode(self.format, job, &envelope, mapping)?;
        let payload = match &mut self.block {
            Some(block) => block.keep(payload),
            None => memory::share(payload),
        };
        if is_packed {
            return self.gather(payload, &job.options, &route, delay, wait);
        }
        let message = match keep {
            Some(keep) => Message::Apart {
                head: payload,
                body: keep.keep(),
            },
            None => Message::Whole(payload),
        };
        self.dispatch(message, route, (destination, has_own_to), delay, wait)
    }

    /// Sends a whole message.
    fn dispatch(
        &mut self,
        message: Message,
        route: Route,
        (destination, has_own_to): (Destination, bool),
        delay: Duration,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let size = message.len();
        if size > LARGE {
            match route.sender.ready(wait) {
                Ok(limit) => self.check_size(&limit, size)?,
                // The link has ended: the job is sent again, as if lost on its way.
                Err(error) if error.kind() == ErrorKind::Connection => {}
                Err(error) => return Err(error),
            }
        }
        let index = self.next_index();
        // A single job is sent at once; several are sent together, within milliseconds.
        self.gathered += size;
        let at_once = self.tracker.pending() == 0
            || index % GATHER == GATHER - 1
            || self.gathered >= GATHER_BYTES;
        if at_once {
            self.gathered = 0;
        }
        let tracked = Tracked {
            tracker: self.tracker.clone(),
            index,
        };
        self.bytes += message.weight();
        let sent = match &message {
            Message::Whole(bytes) => {
                let sent = route.sender.send(bytes.clone(), tracked, at_once);
                sent.map(|()| true)
            }
            Message::Apart { head, body } => {
                let sender = &route.sender;
                sender.lend(head.clone(), body.bytes(), tracked, wait)
            }
        };
        self.window.push_back(Some(Sent {
            message,
            destination,
            delay,
            has_own_to,
            taker: route.taker,
            resent: 0,
        }));
        match sent {
            Ok(in_time) => self.is_stuck |= !in_time,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            // The link had already ended: the job is sent again, as if lost on its way.
            Err(error) => self.lost.push((index, error)),
        }
        Ok(())
    }

    /// Adds a job to the current packed message, which is sent when it is full.
    fn gather(
        &mut self,
        payload: Bytes,
        options: &JobOptions<'_>,
        route: &Route,
        delay: Duration,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let ready = route.sender.ready(wait);
        let lost = match &ready {
            // The link has ended: the job is sent again, as if lost on its way.
            Err(error) if error.kind() == ErrorKind::Connection => Some(error.clone()),
            _ => None,
        };
        let limit = if lost.is_some() { 0 } else { ready? };
        self.check_size(&limit, payload.len())?;
        let index = self.next_index();
        let size = payload.len();
        let has_room = match &self.packing {
            Some(packing) => packing.has_room(index, options, size, limit),
            None => false,
        };
        if lost.is_some() || !has_room {
            self.send_packed();
        }
        self.bytes += payload.len();
        self.window.push_back(Some(Sent {
            message: Message::Whole(payload.clone()),
            destination: Destination::Usual,
            delay,
            has_own_to: false,
            taker: route.taker,
            resent: 0,
        }));
        match (lost, &mut self.packing) {
            (Some(error), _) => self.lost.push((index, error)),
            (None, Some(packing)) => packing.add(index, options, &payload, &route.sender),
            (None, None) => {}
        }
        Ok(())
    }

    /// Sends the current packed message.
    fn send_packed(&mut self) {
        let Some(packed) = self.packing.as_mut().and_then(|packing| packing.take()) else {
            return;
        };
        let tracked = Tracked {
            tracker: self.tracker.clone(),
            index: packed.first,
        };
        let sent = packed
            .sender
            .send_format(packed.body, packed.format, tracked);
        if let Err(error) = sent {
            self.packing.as_mut().and_then(|all| all.sent(packed.first));
            let members = packed.first..packed.first + packed.count;
            self.lost
                .extend(members.map(|index| (index, error.clone())));
        }
    }

    /// A message with many jobs is accepted or refused as a whole. If it is refused, each of its
    /// jobs is sent separately, so that none fails because of another.
    fn note_packed(&mut self, first: u64, count: u64, outcome: &Confirmation) {
        let passes = |condition: &str| self.definition.presumed().passes(condition);
        let outcome = match outcome {
            Confirmation::Rejected(Some((condition, _))) if !passes(condition) => {
                Confirmation::Lost(Error::connection(format!(
                    "a batch was refused: {condition}"
                )))
            }
            other => other.clone(),
        };
        for index in first..first + count {
            self.note(index, outcome.clone());
        }
    }

    fn note(&mut self, index: u64, outcome: Confirmation) {
        let position = index.wrapping_sub(self.base) as usize;
        let Some(slot) = self.window.get_mut(position) else {
            return;
        };
        match (&outcome, slot.as_ref()) {
            (Confirmation::Lost(error), Some(_)) => return self.lost.push((index, error.clone())),
            (Confirmation::Accepted, Some(sent)) if sent.taker == Taker::UnsureQueue => {
                return self.unsure.push(index);
            }
            (Confirmation::Accepted, _) | (_, None) => {}
            (Confirmation::Released, Some(sent)) if sent.taker == Taker::DelayingExchange => {}
            (Confirmation::Released, Some(sent)) if sent.taker.is_queue() => {
                let name = self.definition.name_of(&sent.destination);
                let error = Error::queue_not_found(format!("{name} does not exist (released)"));
                return self.lost.push((index, error));
            }
            // A quorum queue that was just declared has no leader yet: until then, RabbitMQ 4.0
            // refuses jobs without a reason.
            (Confirmation::Rejected(None), Some(sent))
                if sent.taker.is_queue()
                    && sent.resent < FRESH_TRIES
                    && self.definition.declared_within(FRESH) =>
            {
                let error = Error::connection("the queue is not ready yet (rejected)");
                return self.lost.push((index, error));
            }
            (Confirmation::Rejected(Some((condition, description))), Some(_))
                if self.definition.presumed().passes(condition) =>
            {
                let why = description.as_deref().unwrap_or("no description");
                let error = Error::rejected(format!("the broker refused it: {condition}: {why}"));
                return self.lost.push((index, error.with_condition(condition)));
            }
            (outcome, Some(sent)) => {
                let error = resend::failure(&self.definition, &sent.destination, outcome);
                self.failures.push((index, error));
            }
        }
        if let Some(sent) = slot.take() {
            self.bytes -= sent.message.weight();
        }
    }

    fn trim(&mut self) {
        while let Some(None) = self.window.front() {
            self.window.pop_front();
            self.base += 1;
        }
    }

    /// Waits for all outcomes. A job without one at the deadline has timed out.
    ///
    /// # Errors
    /// Only [`ErrorKind::Interrupted`].
    pub fn finish(mut self, wait: &Wait<'_>) -> Result<Vec<(u64, Error)>> {
        let in_time = match self.settle(0, wait) {
            Ok(in_time) => in_time,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(_) => false,
        };
        if !in_time {
            for position in 0..self.window.len() {
                if self.window[position].is_some() {
                    let index = self.base + position as u64;
                    let error = Error::timeout(format!(
                        "{}: the broker did not confirm the job in time; it is unknown whether it has the job",
                        self.definition.describe()
                    ));
                    self.fail(index, error);
                }
            }
        }
        let mut failures = std::mem::take(&mut self.failures);
        failures.sort_by_key(|(index, _)| *index);
        Ok(failures)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // Credit that arrives late must not send a job whose call has ended.
        self.tracker.abandon();
        self.keep();
    }
}
