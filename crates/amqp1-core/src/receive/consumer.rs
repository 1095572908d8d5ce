//! Taking jobs from one or more queues.

mod poll;
mod session;

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Instant;

use crate::base::fork;
use crate::base::sync::Mutex;
use crate::base::wait::{Signal, Wait};
use crate::connection::PATIENCE;
use crate::error::{Error, ErrorKind, Result};
use crate::reach::definition::Definition;
use crate::reach::pool::RESTING;
use crate::receive::attachment::Attachment;
use crate::receive::delivery::Delivery;
use crate::receive::sorting::{self, Poison, Taken};
use crate::settings::options::ConsumerOptions;
use crate::settings::shared_endpoint::SharedEndpoint;

/// Expired deliveries that one look at the queues may pass over.
const MAX_PASSED_OVER: usize = 1000;

/// Takes jobs from its queues, each served in turn.
#[derive(Debug)]
pub struct Consumer {
    attachments: Vec<Attachment>,
    options: ConsumerOptions,
    /// Of this process: a child makes its own.
    signal: Mutex<(u64, Signal)>,
    stopped: AtomicBool,
    paused: AtomicBool,
    /// How often it was closed: a signal handler may do that to a wait under way.
    closes: AtomicU64,
    /// The queue that is looked at first next time.
    turn: AtomicUsize,
    /// Queues want something besides deliveries: see [`Attachment::next_errand`].
    has_errands: bool,
    /// Some queue's broker has several hosts to choose from.
    has_choice: bool,
}

/// It was not attached again in time, and the next call may do it.
fn goes_on(error: &Error, wait: &Wait<'_>) -> bool {
    let passing = matches!(error.kind(), ErrorKind::Connection | ErrorKind::Timeout);
    passing && error.condition() != Some(RESTING) && wait.left().is_zero()
}

/// What a look at the queues found.
enum Found {
    Delivery(Rc<Delivery>),
    /// Dead-lettered, and consuming goes on.
    Poison(Box<Poison>),
    Stopped,
    /// Each queue has said that it has no job.
    Nothing,
    /// A pipeline was resumed that was not attached while it was paused.
    Resumed,
    /// The link of this queue was lost: it is attached again.
    Lost(Error, usize),
}

/// Links that were lost in one call.
#[derive(Default)]
struct Losses {
    /// Of these queues: one connection takes the links of many with it.
    queues: Vec<usize>,
    last: Option<Error>,
    /// One queue's more than once.
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
    /// A consumer of one or more queues; attaches on first use.
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
        Ok(Self {
            has_choice: definitions.iter().any(|one| one.endpoint.has_choice()),
            has_errands: definitions.iter().any(|one| has_sessions(&one)),
            attachments: definitions
                .into_iter()
                .map(|definition| Attachment::new(definition, &options))
                .collect(),
            options,
            signal: Mutex::new((fork::generation(), Signal::new())),
            stopped: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            closes: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
        })
    }

    /// What wakes [`Consumer::next`]. The parent's may be locked for ever in a
    /// child, by a thread that is not there.
    fn signal(&self) -> Signal {
        let mut signal = self.signal.lock();
        if signal.0 != fork::generation() {
            let parents = std::mem::replace(&mut *signal, (fork::generation(), Signal::new()));
            std::mem::forget(parents);
        }
        signal.1.clone()
    }

    /// The options it was made with.
    pub fn options(&self) -> &ConsumerOptions {
        &self.options
    }

    /// The next job; `None` when `wait` ended, and after [`Consumer::stop`].
    ///
    /// A wait of zero takes what is there: `None` when the broker has said that it has
    /// nothing. That is one round trip, unless something has arrived already.
    ///
    /// Connecting and attaching are bounded by the queue's own timeout, and do
    /// not use up `wait`.
    ///
    /// # Errors
    /// Connection, Authentication, QueueNotFound, Timeout (of an attach, or of the answer
    /// that a wait of zero is for), Interrupted.
    pub fn next(&self, wait: &Wait<'_>) -> Result<Option<Rc<Delivery>>> {
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
        loop {
            if self.stopped.load(Ordering::Relaxed) {
                // It may have been while the queues were attached.
                self.attachments.iter().for_each(|attachment| {
                    attachment.follow();
                });
                return Ok(None);
            }
            if is_closed() {
                self.attachments.iter().for_each(Attachment::close);
                return Ok(None);
            }
            let mut look_until = wait;
            if self.has_errands {
                self.attachments
                    .iter()
                    .try_for_each(|attachment| attachment.run_errands(&wait))?;
            }
            if !self.paused.load(Ordering::Relaxed) {
                // The usual case, before each job, is that there is nothing to do.
                if self.has_errands || !self.attachments.iter().all(Attachment::is_attached) {
                    let patience = wait.left();
                    // Once only, and not for pauses: a broker that takes the attach and
                    // breaks off, again and again, must not make the call endless.
                    let broken = self.attachments.iter().any(Attachment::is_broken);
                    match self.attach(&wait, is_first) {
                        Ok(true) if is_first && !broken => wait = wait.restarted(patience),
                        Ok(_) => {}
                        // As when it is lost at the end of a call: the next one goes on.
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
                true => self.poll(&look_until, is_closed)?,
                false => look_until.until(&self.signal(), || match is_closed() {
                    true => Ok(Some(Found::Stopped)),
                    false => self.look(),
                })?,
            };
            if self.has_choice && found.is_none() {
                self.attachments.iter().for_each(Attachment::is_silent);
            }
            match found {
                None if !wait.left().is_zero() => {}
                Some(Found::Resumed) if !wait.left().is_zero() => {}
                // Looked at above, which ends the wait.
                Some(Found::Stopped) => {}
                Some(Found::Nothing) if self.changes_session() => {}
                None if polls => return Err(self.silent(&wait)),
                None | Some(Found::Nothing | Found::Resumed) => return Ok(None),
                Some(Found::Delivery(delivery)) => return Ok(Some(delivery)),
                Some(Found::Poison(poison)) => {
                    poison.bury(&wait)?;
                    // A flood of it must not outlast the deadline.
                    if wait.left().is_zero() {
                        return Ok(None);
                    }
                }
                // Dialled again above, where a failure to do so is an error; by the
                // next call when this one's time is over. Whom the broker leaves again
                // and again is told why.
                Some(Found::Lost(error, queue)) if error.kind() == ErrorKind::Connection => {
                    losses.note(&error, queue);
                    match wait.left().is_zero() {
                        _ if losses.repeated && error.lasts() => return Err(error),
                        // Not known to be empty.
                        true if losses.repeated || polls => return Err(error),
                        true => return Ok(None),
                        false => {}
                    }
                }
                Some(Found::Lost(error, _)) => return Err(error),
            }
        }
    }

    /// Up to `max` jobs: waits for the first, and takes what has arrived of the others;
    /// with a wait of zero what is there, as the broker says.
    ///
    /// # Errors
    /// As [`Consumer::next`], when there is not even one.
    pub fn next_many(&self, max: usize, wait: &Wait<'_>) -> Result<Vec<Rc<Delivery>>> {
        let mut deliveries = Vec::new();
        if max == 0 {
            return Ok(deliveries);
        }
        let polls = wait.left().is_zero();
        deliveries.extend(self.next(wait)?);
        if deliveries.is_empty() {
            return Ok(deliveries);
        }
        if polls {
            self.poll_more(&mut deliveries, max, wait)?;
            return Ok(deliveries);
        }
        while deliveries.len() < max {
            match self.look() {
                Ok(Some(Found::Delivery(delivery))) => deliveries.push(delivery),
                Ok(Some(Found::Poison(poison))) => {
                    // Interrupted, it is unsettled and comes again; so much is in hand already.
                    if poison.bury(wait).is_err() {
                        break;
                    }
                }
                _ => break,
            }
        }
        Ok(deliveries)
    }

    /// Attaches what is not attached. True if there was anything to do. The first time
    /// in a call that may outlast it: connecting takes the time that it takes.
    ///
    /// A queue that cannot be had fails one call; the next ones serve the others,
    /// and try it again after a rest.
    fn attach(&self, wait: &Wait<'_>, is_first: bool) -> Result<bool> {
        let (mut worked, mut failed) = (false, None);
        let mut unreachable: Vec<&SharedEndpoint> = Vec::new();
        let others = self
            .attachments
            .iter()
            .any(|attachment| attachment.is_attached());
        for attachment in &self.attachments {
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
            if let Err(error) = attachment.attach(&self.signal(), &within) {
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

    /// The wait, no longer than until a queue that rests is to be tried again.
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

    fn look(&self) -> Result<Option<Found>> {
        if self.stopped.load(Ordering::Relaxed) {
            return Ok(Some(Found::Stopped));
        }
        let count = self.attachments.len();
        let first = self.turn.load(Ordering::Relaxed);
        let mut passed_over = 0;
        for offset in 0..count {
            let index = (first + offset) % count;
            let attachment = &self.attachments[index];
            if attachment.follow() {
                return Ok(Some(Found::Resumed));
            }
            loop {
                // A flood of what is not handed out must not outlast the deadline.
                passed_over += 1;
                if passed_over > MAX_PASSED_OVER {
                    self.signal().raise();
                    return Ok(None);
                }
                match sorting::take(attachment, self.options.auto_ack) {
                    Ok(Some(Taken::Nothing)) => {}
                    Ok(Some(Taken::Job(delivery))) => {
                        self.turn.store((index + 1) % count, Ordering::Relaxed);
                        return Ok(Some(Found::Delivery(delivery)));
                    }
                    Ok(Some(Taken::Poison(poison))) => {
                        return Ok(Some(Found::Poison(poison)));
                    }
                    Ok(None) => break,
                    Err(error) => {
                        let error = error.context(attachment.definition.describe());
                        return Ok(Some(Found::Lost(error, index)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// No more jobs are asked for; what is buffered goes back to the broker at once.
    ///
    /// # Errors
    /// None today.
    pub fn pause(&self) -> Result<()> {
        self.paused.store(true, Ordering::Relaxed);
        self.attachments
            .iter()
            .for_each(|attachment| attachment.set_paused(true));
        Ok(())
    }

    /// Asks for jobs again.
    ///
    /// # Errors
    /// None today.
    pub fn resume(&self) -> Result<()> {
        self.paused.store(false, Ordering::Relaxed);
        self.attachments
            .iter()
            .for_each(|attachment| attachment.set_paused(false));
        self.signal().raise();
        Ok(())
    }

    /// Between [`Consumer::pause`] and [`Consumer::resume`].
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// [`Consumer::next`] returns `None` from now on, also one that is waiting;
    /// what is buffered goes back to the broker. Jobs in hand can still be settled.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.attachments
            .iter()
            .for_each(|attachment| attachment.set_paused(true));
        self.signal().raise();
    }

    /// Flushes settlements, gives back what is buffered or in hand unsettled, and
    /// detaches. A [`Consumer::next`] that is waiting returns `None`; a later one attaches
    /// again, unless it was stopped.
    ///
    /// A consumer that is only dropped leaves the jobs in hand theirs to settle:
    /// its links end with the last of them.
    ///
    /// # Errors
    /// None today.
    pub fn close(&self, wait: &Wait<'_>) -> Result<()> {
        if self.has_errands {
            self.attachments
                .iter()
                .for_each(|attachment| attachment.quiet(wait));
        }
        self.attachments.iter().for_each(Attachment::close);
        self.closes.fetch_add(1, Ordering::Relaxed);
        self.signal().raise();
        Ok(())
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // Each closes the link that this process has made; a parent's is not
        // torn down by its child.
        self.attachments.iter().for_each(Attachment::release);
    }
}
