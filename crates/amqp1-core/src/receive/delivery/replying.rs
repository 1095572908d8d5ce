//! Replies to the producer of a job.

use super::Delivery;
use crate::base::id;
use crate::base::wait::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::format::carried::{CORRELATION_ID, MESSAGE_ID, REPLY_TO, REPLY_TO_GROUP};
use crate::job::{Job, JobOptions};
use crate::publish::observed::PushTarget;
use crate::publish::publisher::Publisher;
use crate::reach::destination::Destination;

impl Delivery {
    /// Where a reply would be sent, for observers.
    ///
    /// # Errors
    /// As [`Delivery::reply`].
    pub fn reply_target(&self) -> Result<PushTarget> {
        Ok(PushTarget::of(&self.definition, &self.requester()?))
    }

    fn requester(&self) -> Result<Destination> {
        let address = self.decoded.property_text(REPLY_TO).unwrap_or_default();
        let address = String::from_utf8(address.into()).unwrap_or_default();
        if address.is_empty() {
            return Err(Error::unsupported(format!(
                "job {} of {} cannot be replied to: its producer asked for no reply, its reply-to is not set; check getReplyTo() first",
                self.id(),
                self.definition.describe()
            )));
        }
        Ok(Destination::ReplyTo(address))
    }

    /// Sends a reply to the job's reply-to; returns once the broker has accepted it. False if the
    /// requester is gone, so that no one will get it. The job is not settled.
    ///
    /// The reply has the format of the request, and its correlation-id; if that has none, its
    /// message-id.
    ///
    /// # Errors
    /// Unsupported if the job has no reply-to; Config for an option that a reply cannot have; those
    /// of a push.
    pub fn reply(&self, job: &mut Job<'_>, wait: &Wait<'_>) -> Result<bool> {
        let destination = self.requester()?;
        check(&job.options)?;
        job.check()?;
        let id = match &job.options.id {
            Some(id) => id.to_string(),
            None => id::job_id()?,
        };
        let correlation = self.decoded.message_id(CORRELATION_ID);
        let correlation = correlation.or_else(|| self.decoded.message_id(MESSAGE_ID));
        job.options.properties_mut().correlation = correlation;
        if let Some(group) = self.decoded.property_text(REPLY_TO_GROUP) {
            job.options.group = Some(group.to_string().into());
        }
        // Not the queue's own defaults, which are for its jobs.
        job.options.delay = Some(std::time::Duration::ZERO);
        if job.options.ttl.is_none() {
            let header = self.decoded.message.header().unwrap_or_default();
            job.options.ttl = header
                .ttl
                .map(|ttl| std::time::Duration::from_millis(ttl.into()));
        }
        let counters = self.definition.counters();
        counters.pushed.add(1);
        let mut publisher = Publisher::for_replies(self.definition.clone(), self.decoded.format);
        let sent = publisher.send(job, &id, destination, wait);
        let sent = sent.and_then(|()| publisher.finish(wait));
        let sent = sent.and_then(|failures| match failures.into_iter().next() {
            None => Ok(()),
            Some((_, error)) => Err(error),
        });
        counters.push_times.note(wait.elapsed());
        match sent {
            Ok(()) => {
                counters.confirmed.add(1);
                Ok(true)
            }
            Err(error) => {
                counters.failed(&error);
                match error.kind() {
                    ErrorKind::QueueNotFound | ErrorKind::Unroutable => Ok(false),
                    _ => Err(error.context(format!("reply to job {}", self.id()))),
                }
            }
        }
    }
}

/// Refuses options that a reply cannot have.
fn check(options: &JobOptions<'_>) -> Result<()> {
    let given = [
        ("delay", options.delay.is_some()),
        ("routing_key", options.routing_key.is_some()),
        ("partition_key", options.partition_key.is_some()),
    ];
    if let Some((option, _)) = given.into_iter().find(|(_, given)| *given) {
        return Err(Error::config(format!(
            "option '{option}' is not for replies, which go to the request's reply-to at once; remove it"
        )));
    }
    if options.trace_id.is_some() {
        return Err(Error::config(
            "option 'correlation_id' ('trace_id') is not for replies, which have that of their request; remove it",
        ));
    }
    Ok(())
}
