//! Copies of a job: for a retry, for the failed queue, and for the way back.

use super::{Delivery, Outcome};
use crate::base::wait::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::format::changes::{Changes, FailureChange};
use crate::publish::observed::{self, Observed};
use crate::publish::publisher::Publisher;
use crate::reach::destination::Destination;

impl Delivery {
    /// Sends a confirmed copy first, then settles the original: a crash in between duplicates the
    /// job, but never loses it.
    pub(super) fn replace(
        &self,
        destination: Destination,
        changes: &Changes<'_>,
        outcome: Outcome,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let operation = match outcome {
            Outcome::Retried => "retry",
            Outcome::DeadLettered => "dead_letter",
            _ => "release",
        };
        self.replace_by(operation, destination, changes, outcome, wait)
    }

    /// [`Delivery::replace`], with the operation's name for observers.
    pub(super) fn replace_by(
        &self,
        operation: &'static str,
        destination: Destination,
        changes: &Changes<'_>,
        outcome: Outcome,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let mut publisher = Publisher::new(self.definition.clone());
        let what = (operation, destination);
        let observed = self.send_copy(&mut publisher, what, changes, wait)?;
        let sent = publisher.finish(wait);
        let sent = sent.and_then(|failures| match failures.into_iter().next() {
            None => Ok(()),
            Some((_, error)) => Err(error.context(format!("copy of job {}", self.id()))),
        });
        let told = observed::after(observed, sent.as_ref().err());
        sent?;
        if self.complete(outcome) {
            match self.accept(wait) {
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                // Lost in the meantime: it will be delivered again, beside its copy.
                _ => {}
            }
        }
        told
    }

    /// Sends a copy, as if it had never been delivered, to its original queue; if the job does not
    /// name one, to that of `publisher`.
    pub(crate) fn send_back(
        &self,
        publisher: &mut Publisher,
        wait: &Wait<'_>,
    ) -> Result<Option<Observed>> {
        let queue = self.failure().and_then(|failure| failure.queue);
        let queue = queue.unwrap_or_else(|| publisher.definition().broker_queue.clone());
        if !self.link.dialect.takes_jobs(&queue) {
            return Err(Error::unsupported(format!(
                "job {} cannot go back to '{queue}': jobs cannot be sent to a subscription, only to its topic, which would deliver them to all subscriptions",
                self.id()
            )));
        }
        let changes = Changes {
            failure: FailureChange::Forget,
            ..Changes::default()
        };
        let what = ("replay", Destination::Queue(queue));
        self.send_copy(publisher, what, &changes, wait)
    }

    /// Sends a copy, with the observer's headers.
    fn send_copy(
        &self,
        publisher: &mut Publisher,
        what: (&'static str, Destination),
        changes: &Changes<'_>,
        wait: &Wait<'_>,
    ) -> Result<Option<Observed>> {
        let definition = publisher.definition();
        let told = (what.0, &what.1);
        let observed = observed::before(definition, &self.decoded, told, changes.headers)?;
        let sent = match &observed {
            Some(observed) if !observed.headers.is_empty() => {
                let headers = [changes.headers, &observed.headers].concat();
                let changes = Changes {
                    headers: &headers,
                    ..changes.clone()
                };
                publisher.send_copy(&self.decoded, &changes, what.1, wait)
            }
            _ => publisher.send_copy(&self.decoded, changes, what.1, wait),
        };
        if let Err(error) = sent {
            observed::after(observed, Some(&error))?;
            return Err(error);
        }
        Ok(observed)
    }
}
