//! Waits for outcomes.

use super::Publisher;
use crate::base::wait::Wait;
use crate::connection::PATIENCE;
use crate::error::Result;
use crate::reach::blockade::PATIENCE as PATIENCE_FOR_CREDIT;
use crate::reach::pool::{self, Role};

impl Publisher {
    /// Waits until at most `pending` jobs have no outcome. False if the deadline passes first.
    pub(super) fn settle(&mut self, pending: usize, wait: &Wait<'_>) -> Result<bool> {
        self.check_process()?;
        self.send_packed();
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
            let mut more = || {
                let left = tracker.take(outcomes, pending);
                Ok((left <= pending || !outcomes.is_empty()).then_some(()))
            };
            if !self.definition.endpoint.has_choice() {
                let signal = tracker.signal();
                if wait
                    .early(PATIENCE_FOR_CREDIT)
                    .until(signal, &mut more)?
                    .is_none()
                {
                    let _counted = self.definition.blocked();
                    if wait.until(signal, more)?.is_none() {
                        return Ok(false);
                    }
                }
                self.definition.not_blocked();
                continue;
            }
            let before = tracker.pending();
            let patience = wait.at_most(PATIENCE);
            if patience.until(tracker.signal(), &mut more)?.is_some() {
                continue;
            }
            if wait.left().is_zero() {
                return Ok(false);
            }
            if tracker.pending() == before {
                pool::leave_silent(&self.definition.endpoint, Role::Publish);
            }
        }
    }

    /// Collects the available outcomes; returns how many are missing.
    fn collect(&mut self, wake_at: usize) -> usize {
        let mut outcomes = std::mem::take(&mut self.outcomes);
        let left = self.tracker.take(&mut outcomes, wake_at);
        for (index, outcome) in outcomes.drain(..) {
            match self.packing.as_mut().and_then(|all| all.sent(index)) {
                Some(count) if count > 1 => self.note_packed(index, count, &outcome),
                _ => self.note(index, outcome),
            }
        }
        self.outcomes = outcomes;
        self.trim();
        left
    }
}
