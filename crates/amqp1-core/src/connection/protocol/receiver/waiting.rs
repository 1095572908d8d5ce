//! Deliveries that have waited in the buffer for too long.
//!
//! **The broker's consumer timeout** starts when it sends a job. A job that waits behind a slow one
//! thus uses up its time before PHP has seen it. On an idle queue, RabbitMQ 4.3.6 may even notice
//! the timeout late, and take the job back while it is being processed. Therefore a link that knows
//! the timeout returns deliveries that have waited for half of it, so that each job has the other
//! half to run. Afterwards it requests one job at a time, because other consumers can process jobs
//! sooner.
//!
//! **If the prefetch adapts** to PHP's speed, no delivery waits for long: see [`Elastic::patience`].
//! If PHP works on one job for longer than that, the whole buffer is returned as above. If it only
//! has become slow, so that the first delivery has waited for longer, the receiver keeps as many as
//! the prefetch now allows.
//!
//! The connection's own thread does this when the time has come. PHP's thread reads no clock, and a
//! process that works on a slow job still returns the others in the meantime.

use std::time::{Duration, Instant};

use super::Receiver;

/// What has waited for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    Nothing,
    /// All of the buffer; others can process it sooner.
    All,
    /// What comes after this many deliveries.
    Beyond(usize),
}

impl Receiver {
    /// For deliveries that may stay unsettled for this long.
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.patience = timeout.map(|timeout| timeout / 2);
        self
    }

    /// When the first buffered delivery will have waited for too long, unless PHP takes it before.
    pub fn waited_at(&self) -> Option<Instant> {
        let arrived = self.buffer.front()?.arrived;
        let timeout = self.timeout_at(arrived);
        let limit = self.limit_at(arrived);
        timeout.into_iter().chain(limit).min()
    }

    fn timeout_at(&self, arrived: Instant) -> Option<Instant> {
        let patience = self.patience.filter(|_| self.gives_back_doubtful())?;
        arrived.checked_add(patience)
    }

    /// When to look whether the consumer is too slow for an adapted prefetch.
    fn limit_at(&self, arrived: Instant) -> Option<Instant> {
        let patience = self.elastic.as_ref()?.patience?;
        // Returning would lose them.
        if self.buffer.has_settled() {
            return None;
        }
        let since = self.looked_at.map_or(arrived, |at| at.max(arrived));
        since.checked_add(patience)
    }

    /// What must be returned now.
    pub fn waited(&mut self, now: Instant) -> Waited {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let Some(arrived) = self.buffer.front().map(|first| first.arrived) else {
            return Waited::Nothing;
        };
        if is_due(self.timeout_at(arrived)) {
            return Waited::All;
        }
        if !is_due(self.limit_at(arrived)) {
            return Waited::Nothing;
        }
        self.looked_at = Some(now);
        let patience = self.elastic.as_ref().and_then(|elastic| {
            let is_busy = |patience: &Duration| elastic.taken.ago(now) >= *patience;
            elastic.patience.filter(is_busy)
        });
        if patience.is_some() {
            return Waited::All;
        }
        let in_hand = (self.held as usize).saturating_sub(self.buffer.len());
        let kept = (self.credit.prefetch() as usize)
            .saturating_sub(in_hand)
            .max(1);
        match kept < self.buffer.len() {
            true => Waited::Beyond(kept),
            false => Waited::Nothing,
        }
    }
}
