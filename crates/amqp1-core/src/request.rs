//! Requests: jobs whose producer waits for a reply.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::base::counters::REQUESTS;
use crate::base::id;
use crate::base::wait::Wait;
use crate::error::{Error, Result};
use crate::job::properties::MessageId;
use crate::job::Job;
use crate::queue::Queue;
use crate::receive::replies::inbox::Inbox;
use crate::receive::replies::inboxes;
use crate::receive::replies::reply::Reply;

/// A request that the broker has, and whose reply may still come. If it is dropped, so is its reply.
#[derive(Debug)]
pub struct PendingReply {
    inbox: Rc<Inbox>,
    id: String,
    deadline: Instant,
    timeout: Duration,
    /// For messages.
    queue: String,
    /// It waits no longer: another request may have its id.
    is_over: Cell<bool>,
}

impl Queue {
    /// Pushes a request. Its reply must arrive before the deadline of `wait`; unless the job says
    /// otherwise, the request expires then as well.
    ///
    /// # Errors
    /// As [`Queue::push`]; Unsupported if the broker has no address for replies; Config for an
    /// option that a request cannot have.
    pub fn request(&self, job: &mut Job<'_>, wait: &Wait<'_>) -> Result<PendingReply> {
        if job.options.trace_id.is_some() {
            return Err(Error::config(
                "option 'correlation_id' ('trace_id') is not for requests, whose correlation id is their own id; remove it",
            ));
        }
        job.check()?;
        let inbox = inboxes::inbox(self.definition(), self.reply_to(job), wait)?;
        let id = match &job.options.id {
            Some(id) => id.to_string(),
            None => id::job_id()?,
        };
        inbox.expect(&id)?;
        let pending = PendingReply {
            deadline: wait.deadline(),
            timeout: Duration::from_millis((wait.left() + wait.elapsed()).as_millis() as u64),
            queue: self.definition().describe(),
            is_over: Cell::new(false),
            id,
            inbox,
        };
        let options = &mut job.options;
        options.id = Some(pending.id.clone().into());
        let usual = self.definition().options.ttl;
        let ttl = options.ttl.or(usual.map(|ttl| ttl.min(wait.left())));
        options.ttl = Some(
            ttl.unwrap_or_else(|| wait.left())
                .max(Duration::from_millis(1)),
        );
        let properties = options.properties_mut();
        properties.reply_to = Some(pending.inbox.address.clone().into());
        properties.reply_to_group = pending.inbox.session.clone().map(Into::into);
        properties.correlation = Some(MessageId::Text(pending.id.clone()));
        self.push(job, wait)?;
        REQUESTS.sent.add(1);
        Ok(pending)
    }
}

impl Queue {
    /// The queue for replies that the request names. The queue's own option counts only where one
    /// must be named: elsewhere, it is for jobs that no one waits for.
    fn reply_to<'a>(&'a self, job: &'a Job<'_>) -> Option<&'a str> {
        let own = job.options.properties.as_deref();
        let own = own.and_then(|own| own.reply_to.as_deref());
        let definition = self.definition();
        let usual = definition.options.properties.as_deref();
        let usual = usual.filter(|_| definition.presumed().has_sessions());
        own.or_else(|| usual.and_then(|usual| usual.reply_to.as_deref()))
    }
}

impl PendingReply {
    /// The request's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Until when its reply is waited for.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The reply, if it has arrived.
    ///
    /// # Errors
    /// Connection if it can arrive no more; Timeout once its time is up.
    pub fn look(&self) -> Result<Option<Rc<Reply>>> {
        self.check_waits()?;
        let found = self.inbox.look(&self.id);
        match found.map_err(|error| self.failed(error))? {
            None if Instant::now() >= self.deadline => Err(self.timed_out()),
            found => Ok(found),
        }
    }

    /// Waits for the reply, at most until the request's deadline.
    ///
    /// # Errors
    /// As [`PendingReply::look`]; Interrupted, after which it can be waited for again.
    pub fn wait(&self, wait: &Wait<'_>) -> Result<Rc<Reply>> {
        self.check_waits()?;
        let left = self.deadline.saturating_duration_since(Instant::now());
        let found = self.inbox.wait_for(&self.id, &wait.at_most(left));
        let found = found.map_err(|error| self.failed(error))?;
        found.ok_or_else(|| self.timed_out())
    }

    /// A reply that arrives for its id from now on is another request's.
    fn check_waits(&self) -> Result<()> {
        match self.is_over.get() {
            true => Err(self.timed_out()),
            false => Ok(()),
        }
    }

    fn failed(&self, error: Error) -> Error {
        error.context(format!("request {} to {}", self.id, self.queue))
    }

    fn timed_out(&self) -> Error {
        if !self.is_over.replace(true) {
            self.inbox.forget(&self.id);
            REQUESTS.timed_out.add(1);
        }
        Error::timeout(format!(
            "request {} to {}: no reply within {} s; check that a worker consumes the queue and calls Task::reply(), or set a longer 'timeout'",
            self.id,
            self.queue,
            self.timeout.as_secs_f64()
        ))
    }
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        if !self.is_over.get() {
            self.inbox.forget(&self.id);
        }
    }
}
