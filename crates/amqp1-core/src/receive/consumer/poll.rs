//! A wait of zero: what is there, as the broker says.
//!
//! What has not arrived yet is there all the same. So a call that finds nothing in the
//! buffers asks all the queues at once whether they have more, and returns with the first
//! job that comes, or when each has answered.

use std::rc::Rc;
use std::time::Duration;

use super::{Consumer, Found};
use crate::base::wait::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::receive::attachment::Attachment;
use crate::receive::delivery::Delivery;

/// How long a broker may take to say whether there is a job.
const LONGEST_POLL: Duration = Duration::from_secs(5);

impl Consumer {
    /// The wait in which the broker has to answer, in place of one of zero.
    pub(super) fn poll_wait<'a>(&self, wait: &Wait<'a>) -> Wait<'a> {
        let timeouts = self
            .attachments
            .iter()
            .map(|one| one.definition.options.timeout);
        wait.restarted(timeouts.max().unwrap_or(LONGEST_POLL).min(LONGEST_POLL))
    }

    /// Looks, asks, and looks again until there is something or all have answered.
    pub(super) fn poll(
        &self,
        wait: &Wait<'_>,
        is_closed: impl Fn() -> bool,
    ) -> Result<Option<Found>> {
        if let Some(found) = self.look()? {
            return Ok(Some(found));
        }
        self.attachments.iter().for_each(Attachment::begin_question);
        wait.until(&self.signal(), || {
            if is_closed() {
                return Ok(Some(Found::Stopped));
            }
            // Before the buffers: what came before the answer is in them by then. And
            // all of them: they are to be asked at the same time.
            let silent = self
                .attachments
                .iter()
                .filter(|attachment| !attachment.is_answered());
            let answered = silent.count() == 0;
            Ok(match self.look()? {
                None if answered => Some(Found::Nothing),
                found => found,
            })
        })
    }

    /// Each queue has said that it has nothing. True when one has a session to let go
    /// for another that may have something (Service Bus).
    pub(super) fn changes_session(&self) -> bool {
        let attachments = self.attachments.iter();
        attachments
            .filter(|attachment| attachment.change_session())
            .count()
            > 0
    }

    pub(super) fn silent(&self, wait: &Wait<'_>) -> Error {
        let silent = self
            .attachments
            .iter()
            .find(|attachment| !attachment.is_answered());
        let who = silent.or(self.attachments.first());
        let who = who.map_or_else(String::new, |attachment| attachment.definition.describe());
        let limit = self.poll_wait(wait).left().as_secs_f32().ceil();
        Error::timeout(format!(
            "{who}: the broker did not say within {limit} s whether there is a job"
        ))
    }

    /// Adds what is there besides `deliveries`, up to `max` in all.
    ///
    /// # Errors
    /// Interrupted: the jobs are given back. What else goes wrong is for the next call.
    pub(super) fn poll_more(
        &self,
        deliveries: &mut Vec<Rc<Delivery>>,
        max: usize,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let wait = self.poll_wait(wait);
        while deliveries.len() < max {
            match self.poll(&wait, || false) {
                Ok(Some(Found::Delivery(delivery))) => deliveries.push(delivery),
                Ok(Some(Found::Poison(poison))) => {
                    if poison.bury(&wait).is_err() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    deliveries.iter().for_each(|job| job.return_unseen());
                    return Err(error);
                }
                _ => break,
            }
        }
        Ok(())
    }
}
