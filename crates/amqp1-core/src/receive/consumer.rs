//! Receives jobs from one or more queues.

mod adapting;
mod deferred;
mod looking;
mod poll;
mod session;
mod wakeup;

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Instant;

use self::adapting::Adapting;
use self::wakeup::Wakeup;
use crate::base::fork;
use crate::base::sync::Mutex;
use crate::base::wait::Wait;
use crate::connection::{ReceiverLink, PATIENCE};
use crate::error::{Error, ErrorKind, Result};
use crate::reach::definition::Definition;
use crate::reach::pool::RESTING;
use crate::receive::attachment::link::SharedLink;
use crate::receive::attachment::prefetch::Prefetch;
use crate::receive::attachment::Attachment;
use crate::receive::delivery::Delivery;
use crate::receive::sorting::Poison;
use crate::settings::options::ConsumerOptions;
use crate::settings::shared_endpoint::SharedEndpoint;

/// Receives jobs from its queues in turn.
#[derive(Debug)]
pub struct Consumer {
    attachments: Vec<Attachment>,
    options: ConsumerOptions,
    /// Whether any queue's prefetch adapts to PHP's speed.
    adapts: bool,
    adapting: Adapting,
    /// Of this process; a child creates its own.
    wakeup: Mutex<Wakeup>,
    /// The process in which each queue was attached when last looked at, by its generation; zero:
    /// perhaps not all are.
    attached_in: AtomicU64,
    /// The value of [`Definition::pauses`] that the links follow.
    pauses: AtomicU64,
    stopped: AtomicBool,
    paused: AtomicBool,
    /// Incremented by each close, which a signal handler may call during a wait.
    closes: AtomicU64,
    /// The queue that the next look checks first, if it checks all.
    turn: AtomicUsize,
    /// Whether any queue needs action without a delivery: see [`Attachment::next_errand`].
    has_errands: bool,
    /// Whether any queue's broker has several hosts.
    has_choice: bool,
}

/// Whether the queue was not attached again in time, so that the next call may do it.
fn goes_on(error: &Error, wait: &Wait<'_>) -> bool {
    let passing = matches!(error.kind(), ErrorKind::Connection | ErrorKind::Timeout);
    passing && error.condition() != Some(RESTING) && wait.left().is_zero()
}

/// The result of a look at the queues.
enum Found {
    Delivery(Rc<Delivery>),
    /// Dead-lettered; consuming continues.
    Poison(Box<Poison>),
    Stopped,
    /// Every queue has answered that it has no job.
    Nothing,
    /// A pipeline was resumed that was not attached while it was paused.
    Resumed,
    /// The link of this queue was lost, and must be attached again.
    Lost(Error, usize),
}

/// Links that were lost in one call.
#[derive(Default)]
struct Losses {
    /// Their queues: one connection may take the links of many with it.
    queues: Vec<usize>,
    last: Option<Error>,
    /// Whether the same queue lost its link more than once.
    repeated: bool,
}

impl Losses {
    fn note(&mut self, error: &Error, queue: usize) {
        self.repeated |= self.queues.contains(&queue);
        self.queues.push(queue);
        self.last = Some(error.clone());
    }
}

impl Consumer {
    /// Creates a consumer of one or more queues; it attaches on first use.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an empty list, [`ErrorKind::Unsupported`] for a session.
    pub(crate) fn of(definitions: Vec<Arc<Definition>>, options: ConsumerOptions) -> Result<Self> {
        if definitions.is_empty() {
            return Err(Error::config(
                "no queues to consume from: pass an AmqpQueue or a list of them",
            ));
        }
        let has_sessions = |definition: &&Arc<Definition>| definition.presumed().has_sessions();
        let without = definitions.iter().find(|one| !has_sessions(one));
        if let (Some(_), Some(definition)) = (&options.session, without) {
            return Err(Error::unsupported(format!(
                "option 'session': the broker of {} has no sessions; remove the option",
                definition.describe()
            )));
        }
        let (adapting, queues) = (Adapting::default(), definitions.len());
        let attachments: Vec<Attachment> = definitions
            .iter()
            .map(|definition| {
                let prefetch = match options.prefetch.or(definition.options.prefetch) {
                    Some(prefetch) => Prefetch::Set(prefetch),
                    None => Prefetch::adapted(queues, &adapting.taken),
                };
                Attachment::new(Arc::clone(definition), &options, prefetch)
            })
            .collect();
        // Sessions are granted and released by the clock, too.
        let has_errands = definitions.iter().any(|one| has_sessions(&one));
        Ok(Self {
            adapts: attachments.iter().any(|one| one.prefetch.adapts()),
            adapting,
            has_choice: definitions.iter().any(|one| one.endpoint.has_choice()),
            has_errands,
            wakeup: Mutex::new(Wakeup::new(queues, !has_errands)),
            attached_in: AtomicU64::new(0),
            pauses: AtomicU64::new(Definition::pauses()),
            attachments,
            options,
            stopped: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            closes: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
        })
    }

    /// The options that it was created with.
    pub fn options(&self) -> &ConsumerOptions {
        &self.options
    }

    /// The next job; `None` if `wait` ends, and after [`Consumer::stop`].
    ///
    /// A wait of zero returns an available job: `None` if the broker has answered that there is
    /// none. That costs one round trip, unless a job has already arrived.
    ///
    /// Connecting and attaching are limited by the queue's own timeout, and do not use up `wait`.
    ///
    /// # Errors
    /// Connection, Authentication, QueueNotFound, Timeout (of an attach, or of the answer to a wait
    /// of zero), Interrupted.
    pub fn next(&self, wait: &Wait<'_>) -> Result<Option<Rc<Delivery>>> {
        self.asks(1);
        let next = self.next_one(wait)?;
        self.hands_out(next.as_slice());
        Ok(next)
    }

    fn next_one(&self, wait: &Wait<'_>) -> Result<Option<Rc<Delivery>>> {
        let polls = wait.left().is_zero();
        if self.has_errands {
            self.attachments
                .iter()
                .for_each(|attachment| attachment.begin(polls));
        }
        let next = match polls {
            true => self.wait_for_next(&self.poll_wait(wait), polls),
            false => self.wait_for_next(wait, polls),
        };
        if !matches!(next, Ok(Some(_))) {
            self.attachments.iter().for_each(Attachment::stop_asking);
        }
        next
    }

    fn wait_for_next(&self, wait: &Wait<'_>, polls: bool) -> Result<Option<Rc<Delivery>>> {
        let mut wait = *wait;
        let mut is_first = true;
        let mut losses = Losses::default();
        let closes = self.closes.load(Ordering::Relaxed);
        let is_closed = || self.closes.load(Ordering::Relaxed) != closes;
        let wakeup = self.wakeup();
        loop {
            if self.stopped.load(Ordering::Relaxed) {
                // They may have been paused while the queues were attached.
                self.attachments.iter().for_each(|attachment| {
                    attachment.follow();
                });
                return Ok(None);
            }
            if is_closed() {
                self.close_all();
                return Ok(None);
            }
            let mut look_until = wait;
            if self.has_errands {
                self.attachments
                    .iter()
                    .try_for_each(|attachment| attachment.run_errands(&wait))?;
            }
            if !self.paused.load(Ordering::Relaxed) {
                // Before most jobs, there is nothing to attach.
                if self.has_errands || !self.is_attached() {
                    let patience = wait.left();
                    // Only once, and not for pauses: a broker that repeatedly accepts the attach
                    // and then breaks the connection must not make the call endless.
                    let broken = self.attachments.iter().any(Attachment::is_broken);
                    match self.attach(&wakeup, &wait, is_first) {
                        Ok(true) if is_first && !broken => wait = wait.restarted(patience),
                        Ok(_) => {}
                        // As for a link that is lost at the end of a call: the next call continues.
                        Err(error) if goes_on(&error, &wait) => match losses.last {
                            Some(_) if !losses.repeated && !polls => return Ok(None),
                            why => return Err(why.unwrap_or(error)),
                        },
                        Err(error) => return Err(error),
                    }
                    look_until = self.until_next_try(&wait);
                }
                is_first = false;
            }
            if self.has_choice && !polls {
                look_until = look_until.at_most(PATIENCE);
            }
            let found = match polls {
                true => self.poll(&wakeup, &look_until, is_closed)?,
                false => look_until.until(&wakeup.signal, || match is_closed() {
                    true => Ok(Some(Found::Stopped)),
                    false => self.look(&wakeup),
                })?,
            };
            if self.has_choice && found.is_none() {
                self.attachments.iter().for_each(Attachment::is_silent);
            }
            match found {
                None if !wait.left().is_zero() => {}
                Some(Found::Resumed) if !wait.left().is_zero() => {}
                // The start of the loop handles this and ends the wait.
                Some(Found::Stopped) => {}
                Some(Found::Nothing) if self.changes_session() => {}
                None if polls => return Err(self.silent(&wait)),
                None | Some(Found::Nothing | Found::Resumed) => return Ok(None),
                Some(Found::Delivery(delivery)) => return Ok(Some(delivery)),
                Some(Found::Poison(poison)) => {
                    poison.bury(&wait)?;
                    // A flood of such messages must not outlast the deadline.
                    if wait.left().is_zero() {
                        return Ok(None);
                    }
                }
                // Reconnected at the start of the loop, where a failure is an error, or by the next
                // call if this one's time is used up. If the broker repeatedly drops the link, the
                // caller is told why.
                Some(Found::Lost(error, queue)) if error.kind() == ErrorKind::Connection => {
                    losses.note(&error, queue);
                    match wait.left().is_zero() {
                        _ if losses.repeated && error.lasts() => return Err(error),
                        // The queue is not known to be empty.
                        true if losses.repeated || polls => return Err(error),
                        true => return Ok(None),
                        false => {}
                    }
                }
                Some(Found::Lost(error, _)) => return Err(error),
            }
        }
    }

    /// Up to `max` jobs: waits for the first, and adds those that have already arrived. With a wait
    /// of zero, returns the jobs that the broker reports as available.
    ///
    /// # Errors
    /// As [`Consumer::next`], if there is not even one job.
    pub fn next_many(&self, max: usize, wait: &Wait<'_>) -> Result<Vec<Rc<Delivery>>> {
        if max == 0 {
            return Ok(Vec::new());
        }
        self.asks(max);
        let deliveries = self.up_to(max, wait)?;
        self.hands_out(&deliveries);
        Ok(deliveries)
    }

    fn up_to(&self, max: usize, wait: &Wait<'_>) -> Result<Vec<Rc<Delivery>>> {
        let mut deliveries = Vec::new();
        let polls = wait.left().is_zero();
        deliveries.extend(self.next_one(wait)?);
        if deliveries.is_empty() {
            return Ok(deliveries);
        }
        let wakeup = self.wakeup();
        if polls {
            self.poll_more(&wakeup, &mut deliveries, max, wait)?;
            return Ok(deliveries);
        }
        while deliveries.len() < max {
            match self.look(&wakeup) {
                Ok(Some(Found::Delivery(delivery))) => deliveries.push(delivery),
                Ok(Some(Found::Poison(poison))) => {
                    // If interrupted, the message stays unsettled and is delivered again; the jobs
                    // found so far are returned.
                    if poison.bury(wait).is_err() {
                        break;
                    }
                }
                _ => break,
            }
        }
        Ok(deliveries)
    }

    /// Attaches all queues that are not attached. True if there was anything to do. The first time
    /// in a call, it may exceed the deadline, because connecting takes as long as it takes.
    ///
    /// A queue that cannot be attached fails one call. The next calls serve the others, and try it
    /// again after a rest.
    fn attach(&self, wakeup: &Wakeup, wait: &Wait<'_>, is_first: bool) -> Result<bool> {
        let (mut worked, mut failed) = (false, None);
        let mut unreachable: Vec<&SharedEndpoint> = Vec::new();
        let others = self
            .attachments
            .iter()
            .any(|attachment| attachment.is_attached());
        // What happened to a queue while it was attached is looked at.
        wakeup.mark_all();
        for (queue, attachment) in self.attachments.iter().enumerate() {
            let rests = attachment
                .rests_until()
                .is_some_and(|at| at > Instant::now());
            let endpoint = &attachment.definition.endpoint;
            let waits = (others && rests) || attachment.leaves_sessions_alone();
            let served = attachment.is_attached() || attachment.is_paused();
            if served || waits || unreachable.contains(&endpoint) {
                continue;
            }
            worked = true;
            let timeout = attachment.definition.options.timeout;
            let within = match is_first {
                true => wait.for_work(timeout),
                false => wait.at_most(timeout),
            };
            if let Err(error) = attachment.attach(&wakeup.of_queue(queue), &within) {
                match error.kind() {
                    ErrorKind::Interrupted => return Err(error),
                    ErrorKind::Connection | ErrorKind::Timeout => unreachable.push(endpoint),
                    _ => {}
                }
                failed = failed.or(Some(error));
            }
        }
        failed.map_or(Ok(worked), Err)
    }

    /// Whether each queue is attached. Before most jobs, the queues need not be asked.
    fn is_attached(&self) -> bool {
        let generation = fork::generation();
        if self.attached_in.load(Ordering::Relaxed) == generation {
            return true;
        }
        let is_attached = self.attachments.iter().all(Attachment::is_attached);
        if is_attached {
            self.attached_in.store(generation, Ordering::Relaxed);
        }
        is_attached
    }

    /// Closes all links.
    fn close_all(&self) {
        let links = self.attachments.iter().filter_map(Attachment::give_up);
        let links: Vec<_> = links.collect();
        self.attached_in.store(0, Ordering::Relaxed);
        self.hush(&links);
        // Those of one connection are sent together.
        links.iter().for_each(|link| link.close_unsent());
        links.iter().for_each(|link| link.send());
    }

    fn hush(&self, links: &[Arc<SharedLink>]) {
        if !links.is_empty() {
            let links = links.iter().map(|link| &***link);
            ReceiverLink::hush_all(links, &self.wakeup().signal);
        }
    }

    /// The wait, limited to the time when a resting queue must be tried again.
    fn until_next_try<'a>(&self, wait: &Wait<'a>) -> Wait<'a> {
        let wanted =
            |attachment: &&Attachment| !attachment.is_attached() && !attachment.is_paused();
        let resting = self.attachments.iter().filter(wanted);
        let with_errands = self.attachments.iter().filter(|_| self.has_errands);
        let errands = with_errands.filter_map(Attachment::next_errand);
        match resting
            .filter_map(Attachment::rests_until)
            .chain(errands)
            .min()
        {
            Some(at) => wait.at_most(at.saturating_duration_since(Instant::now())),
            None => *wait,
        }
    }

    /// Requests no more jobs; buffered ones return to the broker at once.
    ///
    /// # Errors
    /// None at present.
    pub fn pause(&self) -> Result<()> {
        self.paused.store(true, Ordering::Relaxed);
        self.attachments
            .iter()
            .for_each(|attachment| attachment.set_paused(true));
        Ok(())
    }

    /// Requests jobs again.
    ///
    /// # Errors
    /// None at present.
    pub fn resume(&self) -> Result<()> {
        self.paused.store(false, Ordering::Relaxed);
        self.attachments
            .iter()
            .for_each(|attachment| attachment.set_paused(false));
        self.wakeup().signal.raise();
        Ok(())
    }

    /// Whether it is between [`Consumer::pause`] and [`Consumer::resume`].
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Makes [`Consumer::next`] return `None` from now on, including a call in progress. Buffered
    /// jobs return to the broker; handed-out jobs can still be settled.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.attachments
            .iter()
            .for_each(|attachment| attachment.set_paused(true));
        self.wakeup().signal.raise();
    }

    /// Flushes settlements, returns buffered and unsettled jobs, and detaches. A [`Consumer::next`]
    /// in progress returns `None`; a later one attaches again, unless the consumer was stopped.
    ///
    /// If a consumer is only dropped, handed-out jobs can still be settled: its links end with the
    /// last of them.
    ///
    /// # Errors
    /// None at present.
    pub fn close(&self, wait: &Wait<'_>) -> Result<()> {
        if self.has_errands {
            self.attachments
                .iter()
                .for_each(|attachment| attachment.quiet(wait));
        }
        self.close_all();
        self.closes.fetch_add(1, Ordering::Relaxed);
        self.wakeup().signal.raise();
        Ok(())
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // Closes the links that this process opened; a child does not tear down its parent's.
        let links = self.attachments.iter().filter_map(Attachment::release);
        self.hush(&links.collect::<Vec<_>>());
    }
}
