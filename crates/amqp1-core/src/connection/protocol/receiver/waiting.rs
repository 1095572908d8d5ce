//! Deliveries that have waited in the buffer for too long.
//!
//! The broker's consumer timeout runs from the moment it sends a job, so a job that waits behind a
//! slow one uses up its time before PHP has seen it. RabbitMQ 4.3.6 may even miss the moment on a
//! queue where nothing happens, and take the job back when it is being worked on. So a link that
//! knows the timeout gives back what has waited for half of it: each job has the other half to
//! run. It asks for one job at a time afterwards, as others come to them sooner.
//!
//! The connection's own thread does this when the time has come. PHP's thread reads no clock, and
//! a process that works on a slow job gives the others back meanwhile.

use std::time::{Duration, Instant};

use super::Receiver;

impl Receiver {
    /// A receiver whose deliveries may be unsettled for so long.
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.patience = timeout.map(|timeout| timeout / 2);
        self
    }

    /// When what is buffered will have waited for too long, unless PHP takes it before.
    pub fn waited_at(&self) -> Option<Instant> {
        let patience = self.patience.filter(|_| self.gives_back_doubtful())?;
        self.buffer.front()?.arrived.checked_add(patience)
    }

    /// Gives back what is buffered, if it has waited for too long. True when the broker is to be
    /// told that there is no more credit.
    pub fn return_waited(&mut self, now: Instant, out: &mut Vec<u8>, channel: u16) -> bool {
        let is_due = self.waited_at().is_some_and(|at| at <= now);
        is_due && self.return_doubtful(out, channel)
    }
}
