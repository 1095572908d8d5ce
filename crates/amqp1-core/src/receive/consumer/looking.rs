//! Looks for the next job in the queues' buffers, in turn.
//!
//! A consumer may have hundreds of queues, most of them empty. Therefore a look visits only the
//! queues where something may have happened since it last found nothing there: each queue's link
//! marks it when it raises the consumer's signal. A queue that had a job goes to the end of the
//! line, behind all others that may have one.

use std::sync::atomic::Ordering;

use super::wakeup::Wakeup;
use super::{Consumer, Found};
use crate::base::fork;
use crate::error::Result;
use crate::reach::definition::Definition;
use crate::receive::sorting::{self, Taken};

/// The most expired deliveries that one look at the queues may skip.
const MAX_PASSED_OVER: usize = 1000;

impl Consumer {
    /// What wakes [`Consumer::next`]. In a child, a thread that no longer exists may have locked the
    /// parent's for ever.
    pub(super) fn wakeup(&self) -> Wakeup {
        let mut wakeup = self.wakeup.lock();
        if wakeup.generation != fork::generation() {
            let own = Wakeup::new(self.attachments.len(), wakeup.marks.is_some());
            std::mem::forget(std::mem::replace(&mut *wakeup, own));
        }
        wakeup.clone()
    }

    /// The next job or event.
    pub(super) fn look(&self, wakeup: &Wakeup) -> Result<Option<Found>> {
        if self.stopped.load(Ordering::Relaxed) {
            return Ok(Some(Found::Stopped));
        }
        if self.follow_pauses() {
            return Ok(Some(Found::Resumed));
        }
        let mut passed_over = 0;
        let Some(marks) = &wakeup.marks else {
            return self.look_at_all(wakeup, &mut passed_over);
        };
        while let Some(queue) = marks.take() {
            let found = self.look_at(queue, wakeup, &mut passed_over)?;
            if found.is_some() || passed_over > MAX_PASSED_OVER {
                marks.mark(queue);
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn look_at_all(&self, wakeup: &Wakeup, passed_over: &mut usize) -> Result<Option<Found>> {
        let count = self.attachments.len();
        let first = self.turn.load(Ordering::Relaxed);
        for offset in 0..count {
            let queue = (first + offset) % count;
            let found = self.look_at(queue, wakeup, passed_over)?;
            if matches!(found, Some(Found::Delivery(_))) {
                self.turn.store((queue + 1) % count, Ordering::Relaxed);
            }
            if found.is_some() || *passed_over > MAX_PASSED_OVER {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn look_at(
        &self,
        queue: usize,
        wakeup: &Wakeup,
        passed_over: &mut usize,
    ) -> Result<Option<Found>> {
        let attachment = &self.attachments[queue];
        if attachment.follow() {
            return Ok(Some(Found::Resumed));
        }
        loop {
            // A flood of skipped deliveries must not outlast the deadline.
            *passed_over += 1;
            if *passed_over > MAX_PASSED_OVER {
                wakeup.signal.raise();
                return Ok(None);
            }
            return Ok(match sorting::take(attachment, self.options.auto_ack) {
                Ok(Some(Taken::Nothing)) => continue,
                Ok(Some(Taken::Job(delivery))) => Some(Found::Delivery(delivery)),
                Ok(Some(Taken::Poison(poison))) => Some(Found::Poison(poison)),
                Ok(None) => None,
                Err(error) => {
                    self.attached_in.store(0, Ordering::Relaxed);
                    let error = error.context(attachment.definition.describe());
                    Some(Found::Lost(error, queue))
                }
            });
        }
    }

    /// Tells the links of pipelines that were paused or resumed. True if one was resumed that has
    /// no link.
    fn follow_pauses(&self) -> bool {
        let pauses = Definition::pauses();
        if self.pauses.swap(pauses, Ordering::Relaxed) == pauses {
            return false;
        }
        let resumed = self.attachments.iter().filter(|one| one.follow());
        resumed.count() > 0
    }
}

#[cfg(test)]
#[path = "looking_tests.rs"]
mod tests;
