//! Waits for outcomes.

use super::{Publisher, WINDOW, WINDOW_BYTES};
use crate::base::wait::Wait;
use crate::connection::PATIENCE;
use crate::error::Result;
use crate::reach::blockade::PATIENCE as PATIENCE_FOR_CREDIT;
use crate::reach::pool::{self, Role};

impl Publisher {
    /// Whether so much is unconfirmed that the next job waits.
    pub fn is_full(&self) -> bool {
        self.bytes >= WINDOW_BYTES
    }

    /// Blocks while too much is unconfirmed. False if no outcome arrived in time.
    pub fn make_room(&mut self, wait: &Wait<'_>) -> Result<bool> {
        let is_large = self.is_full() || std::mem::take(&mut self.is_stuck);
        if self.window.len() < WINDOW && !is_large && self.lost.is_empty() {
            return Ok(true);
        }
        let before = self.unsettled();
        let until = match is_large {
            true => self.newest_within(WINDOW_BYTES / 2),
            false => WINDOW / 2,
        };
        Ok(self.settle(until, wait)? || self.unsettled() < before)
    }

    /// How many of the newest unconfirmed jobs have at most so many bytes together. At least one:
    /// the broker should always have something to do.
    fn newest_within(&self, bytes: usize) -> usize {
        if self.packing.is_some() {
            // Outcomes are those of whole packs.
            return 0;
        }
        let mut sum = 0;
        let newest = self.window.iter().rev().flatten();
        let within = newest.take_while(|sent| {
            sum += sent.message.weight();
            sum <= bytes
        });
        within.count().max(1)
    }

    fn unsettled(&self) -> usize {
        self.window.iter().flatten().count()
    }

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
