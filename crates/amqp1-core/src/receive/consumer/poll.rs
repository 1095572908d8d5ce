//! A wait of zero: returns the jobs that the broker reports as available.
//!
//! Jobs that have not arrived yet also count as available. Therefore a call that finds nothing in
//! the buffers asks all queues at the same time whether they have more. It returns with the first
//! job that arrives, or once all have answered.

use std::rc::Rc;
use std::time::Duration;

use super::wakeup::Wakeup;
use super::{Consumer, Found};
use crate::base::wait::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::receive::attachment::Attachment;
use crate::receive::delivery::Delivery;

/// How long a broker may take to answer whether there is a job.
const LONGEST_POLL: Duration = Duration::from_secs(5);

impl Consumer {
    /// The wait for the broker's answer, instead of one of zero.
    pub(super) fn poll_wait<'a>(&self, wait: &Wait<'a>) -> Wait<'a> {
        let timeouts = self
            .attachments
            .iter()
            .map(|one| one.definition.options.timeout);
        wait.restarted(timeouts.max().unwrap_or(LONGEST_POLL).min(LONGEST_POLL))
    }

    /// Looks, asks, and looks again until there is a result or all have answered.
    pub(super) fn poll(
        &self,
        wakeup: &Wakeup,
        wait: &Wait<'_>,
        is_closed: impl Fn() -> bool,
    ) -> Result<Option<Found>> {
        if let Some(found) = self.look(wakeup)? {
            return Ok(Some(found));
        }
        self.attachments.iter().for_each(Attachment::begin_question);
        wait.until(&wakeup.signal, || {
            if is_closed() {
                return Ok(Some(Found::Stopped));
            }
            // Checked before the buffers, which by then contain everything that came before the
            // answer. All queues must be asked at the same time, so the filter is not cut short.
            let silent = self
                .attachments
                .iter()
                .filter(|attachment| !attachment.is_answered());
            let answered = silent.count() == 0;
            Ok(match self.look(wakeup)? {
                None if answered => Some(Found::Nothing),
                found => found,
            })
        })
    }

    /// Handles the case that every queue has nothing. True if one can release its session for
    /// another that may have jobs.
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

    /// Adds available jobs to `deliveries`, up to `max` in total.
    ///
    /// # Errors
    /// Interrupted: the jobs are returned. The next call reports any other error.
    pub(super) fn poll_more(
        &self,
        wakeup: &Wakeup,
        deliveries: &mut Vec<Rc<Delivery>>,
        max: usize,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let wait = self.poll_wait(wait);
        while deliveries.len() < max {
            match self.poll(wakeup, &wait, || false) {
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
