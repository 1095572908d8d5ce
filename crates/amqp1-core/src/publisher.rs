//! Sending jobs and learning what became of them.
//!
//! A job that was sent but not settled when its connection died is sent again
//! under the same message-id, within the deadline. What was confirmed is never
//! sent again.

mod verify;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::connection::{condition_kind, Outcome, Tracked, Tracker};
use crate::error::{Error, ErrorKind, Result};
use crate::fork;
use crate::format::copy::{copy, Changes};
use crate::format::envelope::{now_millis, Envelope};
use crate::format::{self, Decoded};
use crate::job::Job;
use crate::live::Definition;
use crate::pool::{self, Role};
use crate::route::{Destination, Route};
use crate::wait::Wait;

/// Unconfirmed jobs at the most.
const WINDOW: usize = 2048;
/// Bytes of unconfirmed jobs at the most.
const WINDOW_BYTES: usize = 32 * 1024 * 1024;
/// Jobs written together.
const GATHER: u64 = 32;
/// How long a queue counts as new, and how often a job for it is sent again
/// when it is refused without a reason.
const FRESH: Duration = Duration::from_secs(5);
const FRESH_TRIES: u32 = 8;
/// Larger messages wait for the attach, to learn the broker's limit before sending.
const LARGE: usize = 64 * 1024;

/// A message whose outcome is awaited.
#[derive(Debug)]
struct Sent {
    payload: Bytes,
    destination: Destination,
    delay: Duration,
    released_is_taken: bool,
    /// It goes to a queue by name, ours to declare: `released` means that the queue is gone.
    to_queue: bool,
    /// `accepted` does not say that the queue exists.
    unsure: bool,
    resent: u32,
}

/// Sends jobs of one queue, pipelined, and collects the outcomes.
#[derive(Debug)]
pub(crate) struct Publisher {
    definition: Arc<Definition>,
    tracker: Tracker,
    /// By index from `base`; `None` once the outcome is there.
    window: VecDeque<Option<Sent>>,
    base: u64,
    bytes: usize,
    outcomes: Vec<(u64, Outcome)>,
    lost: Vec<(u64, Error)>,
    /// Accepted; whether their queue exists is to be seen.
    unsure: Vec<u64>,
    failures: Vec<(u64, Error)>,
    generation: u64,
}

impl Publisher {
    pub fn new(definition: Arc<Definition>) -> Self {
        Self {
            definition,
            tracker: Tracker::default(),
            window: VecDeque::new(),
            base: 0,
            bytes: 0,
            outcomes: Vec::new(),
            lost: Vec::new(),
            unsure: Vec::new(),
            failures: Vec::new(),
            generation: fork::generation(),
        }
    }

    /// The caller's iterable may fork between two jobs. The outcomes come to the
    /// parent, and the tracker may be locked for ever in the child.
    fn check_process(&self) -> Result<()> {
        if self.generation == fork::generation() {
            return Ok(());
        }
        Err(Error::interrupted(
            "the process was forked while jobs were being sent: they are the parent's",
        ))
    }

    /// The broker's name of its queue.
    pub fn queue(&self) -> &str {
        &self.definition.broker_queue
    }

    /// The index that the next job gets.
    pub fn next_index(&self) -> u64 {
        self.base + self.window.len() as u64
    }

    /// There is a connection to publish over.
    pub fn is_connected(&self) -> bool {
        pool::is_connected(&self.definition.endpoint, Role::Publish)
    }

    /// An index without a job, so that later ones keep theirs.
    pub fn skip(&mut self, error: Error) {
        self.failures.push((self.next_index(), error));
        self.window.push_back(None);
        self.trim();
    }

    /// Sends one job. On an error nothing was sent.
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
        format::check(options.format, job, id)
            .map_err(|error| error.context(definition.describe()))?;
        let delay = job.options.delay.or(options.delay).unwrap_or_default();
        let route = definition.route(&destination, delay, wait)?;
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
        };
        let mapping = || {
            let live = definition.connect(Role::Publish, wait)?;
            Ok(live.dialect.property_mapping())
        };
        let payload = format::encode(options.format, job, &envelope, mapping)?;
        self.dispatch(payload, route, destination, delay, wait)
    }

    /// Sends a job that came once more, in the format it has. Its delay and TTL
    /// are the changes'; how the broker is told of them is the route's.
    /// On an error nothing was sent.
    pub fn send_copy(
        &mut self,
        decoded: &Decoded,
        changes: &Changes<'_>,
        destination: Destination,
        wait: &Wait<'_>,
    ) -> Result<()> {
        self.check_process()?;
        let definition = Arc::clone(&self.definition);
        let delay = changes.delay;
        let route = definition.route(&destination, delay, wait)?;
        let expires_in = changes.ttl.filter(|_| route.ttl_is_lost);
        let expires_in = expires_in.map(|ttl| ttl + delay);
        let changes = Changes {
            to: route.to.as_deref(),
            delay_mark: route.delay_mark,
            ttl: changes.ttl.filter(|_| !route.ttl_is_lost),
            expires_at: expires_in
                .map(|after| now_millis().saturating_add(after.as_millis() as i64))
                .or(changes.expires_at),
            ..changes.clone()
        };
        let payload = copy(decoded, &changes);
        self.dispatch(payload, route, destination, delay, wait)
    }

    /// Sends a whole message.
    fn dispatch(
        &mut self,
        payload: Bytes,
        route: Route,
        destination: Destination,
        delay: Duration,
        wait: &Wait<'_>,
    ) -> Result<()> {
        if payload.len() > LARGE {
            self.check_size(&route.sender.ready(wait)?, payload.len())?;
        }
        let index = self.next_index();
        // A job that is alone goes at once; others go together, within milliseconds.
        let at_once = self.tracker.pending() == 0 || index % GATHER == GATHER - 1;
        let tracked = Tracked {
            tracker: self.tracker.clone(),
            index,
        };
        self.bytes += payload.len();
        let sent = route.sender.send(payload.clone(), tracked, at_once);
        self.window.push_back(Some(Sent {
            payload,
            destination,
            delay,
            released_is_taken: route.released_is_taken,
            to_queue: route.to_queue,
            unsure: route.unsure && route.to_queue,
            resent: 0,
        }));
        if let Err(error) = sent {
            // The link had ended before: sent again like one that was lost on its way.
            self.lost.push((index, error));
        }
        Ok(())
    }

    fn check_size(&self, limit: &u64, size: usize) -> Result<()> {
        if *limit == 0 || size as u64 <= *limit {
            return Ok(());
        }
        Err(Error::rejected(format!(
            "{}: the message has {size} bytes, the broker takes {limit}; store large payloads elsewhere and push a reference",
            self.definition.describe()
        )))
    }

    /// Blocks while too much is unconfirmed. False when not one outcome came in time.
    pub fn make_room(&mut self, wait: &Wait<'_>) -> Result<bool> {
        if self.window.len() < WINDOW && self.bytes < WINDOW_BYTES && self.lost.is_empty() {
            return Ok(true);
        }
        let before = self.unsettled();
        let until = if self.bytes < WINDOW_BYTES {
            WINDOW / 2
        } else {
            0
        };
        Ok(self.settle(until, wait)? || self.unsettled() < before)
    }

    fn unsettled(&self) -> usize {
        self.window.iter().flatten().count()
    }

    /// Waits until no more than `pending` jobs have no outcome. False when the
    /// deadline passed first.
    fn settle(&mut self, pending: usize, wait: &Wait<'_>) -> Result<bool> {
        self.check_process()?;
        loop {
            let left = self.collect(pending);
            if !self.lost.is_empty() {
                self.resend(wait)?;
                continue;
            }
            if left <= pending {
                if self.unsure.is_empty() {
                    return Ok(true);
                }
                self.verify(wait)?;
                continue;
            }
            let (tracker, outcomes) = (&self.tracker, &mut self.outcomes);
            let more = wait.until(tracker.signal(), || {
                let left = tracker.take(outcomes, pending);
                Ok((left <= pending || !outcomes.is_empty()).then_some(()))
            })?;
            if more.is_none() {
                return Ok(false);
            }
        }
    }

    /// Takes in the outcomes that have come; returns how many are missing.
    fn collect(&mut self, wake_at: usize) -> usize {
        let mut outcomes = std::mem::take(&mut self.outcomes);
        let left = self.tracker.take(&mut outcomes, wake_at);
        for (index, outcome) in outcomes.drain(..) {
            self.note(index, outcome);
        }
        self.outcomes = outcomes;
        self.trim();
        left
    }

    fn note(&mut self, index: u64, outcome: Outcome) {
        let position = index.wrapping_sub(self.base) as usize;
        let Some(slot) = self.window.get_mut(position) else {
            return;
        };
        match (&outcome, slot.as_ref()) {
            (Outcome::Lost(error), Some(_)) => return self.lost.push((index, error.clone())),
            (Outcome::Accepted, Some(sent)) if sent.unsure => return self.unsure.push(index),
            (Outcome::Accepted, _) | (_, None) => {}
            (Outcome::Released, Some(sent)) if sent.released_is_taken => {}
            (Outcome::Released, Some(sent)) if sent.to_queue => {
                let name = self.definition.name_of(&sent.destination);
                let error = Error::queue_not_found(format!("{name} does not exist (released)"));
                return self.lost.push((index, error));
            }
            // A quorum queue that somebody declared a moment ago has no leader yet:
            // RabbitMQ 4.0 refuses what comes until then, without a reason.
            (Outcome::Rejected(None), Some(sent))
                if sent.to_queue
                    && sent.resent < FRESH_TRIES
                    && self.definition.declared_within(FRESH) =>
            {
                let error = Error::connection("the queue is not ready yet (rejected)");
                return self.lost.push((index, error));
            }
            (outcome, Some(sent)) => {
                let error = failure(&self.definition, &sent.destination, outcome);
                self.failures.push((index, error));
            }
        }
        if let Some(sent) = slot.take() {
            self.bytes -= sent.payload.len();
        }
    }

    fn trim(&mut self) {
        while let Some(None) = self.window.front() {
            self.window.pop_front();
            self.base += 1;
        }
    }

    /// Sends again what was lost, on a new connection or link.
    fn resend(&mut self, wait: &Wait<'_>) -> Result<()> {
        let lost = std::mem::take(&mut self.lost);
        let mut paused = false;
        for (index, error) in lost {
            let position = index.wrapping_sub(self.base) as usize;
            let Some(Some(sent)) = self.window.get_mut(position) else {
                continue;
            };
            sent.resent += 1;
            // A queue that is gone is declared again once; a link that keeps
            // failing while the connection stands is not worth the deadline.
            let again = match error.kind() {
                ErrorKind::Connection => !wait.left().is_zero(),
                ErrorKind::QueueNotFound => sent.resent == 1 && self.definition.options.declare,
                _ => false,
            };
            if error.kind() == ErrorKind::QueueNotFound {
                self.definition.forget_declared();
            }
            if !again {
                self.fail(index, self.explain(error));
                continue;
            }
            // One pause for all of them, the longer the more often they were lost.
            let pause = Duration::from_millis(20) * (sent.resent - 1).min(50);
            if !pause.is_zero() && !paused {
                wait.sleep(pause)?;
                paused = true;
            }
            if let Err(error) = self.resend_one(index, wait) {
                if error.kind() == ErrorKind::Interrupted {
                    return Err(error);
                }
                self.fail(index, self.explain(error));
            }
        }
        Ok(())
    }

    fn resend_one(&mut self, index: u64, wait: &Wait<'_>) -> Result<()> {
        let position = index.wrapping_sub(self.base) as usize;
        let Some(Some(sent)) = self.window.get(position) else {
            return Ok(());
        };
        let route = self.definition.route(&sent.destination, sent.delay, wait)?;
        let tracked = Tracked {
            tracker: self.tracker.clone(),
            index,
        };
        let resent = route.sender.send(sent.payload.clone(), tracked, true);
        if let Err(error) = resent {
            self.lost.push((index, error));
        }
        Ok(())
    }

    fn fail(&mut self, index: u64, error: Error) {
        self.failures.push((index, error));
        let position = index.wrapping_sub(self.base) as usize;
        if let Some(slot) = self.window.get_mut(position) {
            if let Some(sent) = slot.take() {
                self.bytes -= sent.payload.len();
            }
        }
    }

    fn explain(&self, error: Error) -> Error {
        let hint = match error.kind() {
            ErrorKind::QueueNotFound => "; create it, or leave the option 'declare' on",
            // It was sent once, and its confirmation may be what was lost.
            ErrorKind::Connection | ErrorKind::Timeout => "; whether it has the job is unknown",
            _ => "",
        };
        Error::new(
            error.kind(),
            format!("{}: {}{hint}", self.definition.describe(), error.message()),
        )
    }

    /// Waits for every outcome; what has none at the deadline is a timeout.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`] only.
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
                        "{}: the broker did not confirm the job in time; whether it has it is unknown",
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
        // A job whose call has ended must not be sent by a broker's late credit.
        self.tracker.abandon();
    }
}

/// The error that a negative outcome is.
fn failure(definition: &Definition, destination: &Destination, outcome: &Outcome) -> Error {
    let what = definition.describe();
    match outcome {
        Outcome::Released => Error::unroutable(format!(
            "{what}: the broker has no queue for the job (released by {}): create the queue, or bind one",
            definition.name_of(destination)
        )),
        Outcome::Rejected(Some((condition, description))) => {
            let kind = match condition_kind(condition) {
                ErrorKind::QueueNotFound => ErrorKind::QueueNotFound,
                _ => ErrorKind::Rejected,
            };
            let description = description.as_deref().unwrap_or("no description");
            Error::new(
                kind,
                format!("{what}: the broker refused the job: {condition}: {description}"),
            )
            .with_condition(condition)
        }
        _ => Error::rejected(format!(
            "{what}: the broker refused the job without a reason; the queue may be full"
        )),
    }
}
