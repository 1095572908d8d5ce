//! Deliveries that have waited in the buffer for too long.
//!
//! The broker's consumer timeout starts when it sends a job. A job that waits behind a slow one
//! thus uses up its time before PHP has seen it. On an idle queue, RabbitMQ 4.3.6 may even notice
//! the timeout late, and take the job back while it is being processed. Therefore a link that knows
//! the timeout returns deliveries that have waited for half of it, so that each job has the other
//! half to run. Afterwards it requests one job at a time, because other consumers can process jobs
//! sooner.
//!
//! The connection's own thread does this when the time has come. PHP's thread reads no clock, and a
//! process that works on a slow job still returns the others in the meantime.

use std::time::{Duration, Instant};

use super::Receiver;

impl Receiver {
    /// For deliveries that may stay unsettled for this long.
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.patience = timeout.map(|timeout| timeout / 2);
        self
    }

    /// When the first buffered delivery will have waited for too long, unless PHP takes it before.
    pub fn waited_at(&self) -> Option<Instant> {
        let patience = self.patience.filter(|_| self.gives_back_doubtful())?;
        self.buffer.front()?.arrived.checked_add(patience)
    }

    /// Returns the buffer if it has waited for too long. True if the broker must be told that there
    /// is no more credit.
    pub fn return_waited(&mut self, now: Instant, out: &mut Vec<u8>, channel: u16) -> bool {
        let is_due = self.waited_at().is_some_and(|at| at <= now);
        is_due && self.return_doubtful(out, channel)
    }
}
