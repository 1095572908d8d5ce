//! The client's operations on a session's receiver.

use std::time::Instant;

use super::Session;
use crate::connection::protocol::internal;
use crate::connection::protocol::link::Phase;
use crate::connection::protocol::receiver::{Incoming, Receiver};
use crate::connection::protocol::tracker::Tracked;
use crate::error::{Error, Result};

/// How a settlement is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Together with others: see [`super::super::Protocol::gather`].
    Gathered,
    /// At once, or by [`Session::flush`] at once.
    AtOnce,
    /// The broker has taken the delivery back, and gets the settlement that it requires.
    Recalled,
}

impl Session {
    /// Its receiver.
    ///
    /// # Errors
    /// There is none.
    pub fn receiver(&mut self) -> Result<&mut Receiver> {
        let receiver = self.receiver.as_mut();
        receiver.ok_or_else(|| Error::connection("the link is closed"))
    }

    fn open_receiver(&mut self) -> Result<&mut Receiver> {
        let receiver = self.receiver()?;
        match &receiver.phase {
            Phase::Detached(error) => Err(error.clone()),
            Phase::Attaching | Phase::Attached => Ok(receiver),
        }
    }

    /// The next delivery; `None` if there is none yet.
    pub fn take(&mut self) -> Result<Option<Incoming>> {
        let receiver = self.receiver()?;
        match receiver.take() {
            Some(incoming) => Ok(Some(incoming)),
            None => self.open_receiver().map(|_| None),
        }
    }

    /// After [`Session::take`]: whether the broker must be told something by [`Session::catch_up`].
    pub fn is_behind(&self, took_one: bool) -> bool {
        let receiver = self.receiver.as_ref();
        receiver.is_some_and(|r| {
            r.has_dropped() || (!took_one && (r.is_careful() || r.is_low() || r.is_short()))
        })
    }

    /// Settles deliveries that were taken back, and requests the delivery that PHP waits for.
    pub fn catch_up(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<()> {
        if let Some(receiver) = &mut self.receiver {
            receiver.settle_dropped(out, self.channel);
        }
        self.grant_credit(now, out).map_err(internal)
    }

    /// Accepts a delivery.
    pub fn accept(&mut self, delivery_id: u32, out: &mut Vec<u8>) -> Result<Settled> {
        let channel = self.channel;
        let receiver = self.open_receiver()?;
        if receiver.settle_recalled(out, channel, delivery_id) {
            return Ok(Settled::Recalled);
        }
        Ok(match receiver.accept(delivery_id) {
            true => Settled::AtOnce,
            false => Settled::Gathered,
        })
    }

    /// Settles a delivery with another state.
    pub fn settle(
        &mut self,
        delivery_id: u32,
        state: &[u8],
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<Settled> {
        let channel = self.channel;
        let receiver = self.open_receiver()?;
        if receiver.settle_recalled(out, channel, delivery_id) {
            return Ok(Settled::Recalled);
        }
        receiver.settle(out, channel, delivery_id, state);
        self.grant_credit(now, out).map_err(internal)?;
        Ok(Settled::AtOnce)
    }

    /// Settles a delivery and waits for the confirmation of a sender that settles second.
    pub fn settle_second(
        &mut self,
        delivery_id: u32,
        state: &[u8],
        tracked: Tracked,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let channel = self.channel;
        let receiver = self.open_receiver()?;
        receiver.settle_second(out, channel, delivery_id, state, tracked);
        self.grant_credit(now, out).map_err(internal)
    }

    /// Abandons an unsettled delivery; see [`Receiver::abandon`].
    pub fn abandon(&mut self, delivery_id: u32, out: &mut Vec<u8>) {
        if let Some(receiver) = &mut self.receiver {
            receiver.abandon(out, self.channel, delivery_id);
        }
    }

    /// Sets the most unsettled deliveries at once. With zero, buffered deliveries are returned to
    /// the broker and no more are requested.
    pub fn set_prefetch(&mut self, prefetch: u32, now: Instant, out: &mut Vec<u8>) -> Result<()> {
        let receiver = self.receiver()?;
        if !receiver.set_prefetch(prefetch) {
            return Ok(());
        }
        if receiver.phase == Phase::Attached && prefetch == 0 {
            // Before the buffer is returned, or it would be delivered again.
            self.send_credit(0, false, out).map_err(internal)?;
        }
        if let Some(receiver) = self.receiver.as_mut().filter(|_| prefetch == 0) {
            receiver.release_buffered(out, self.channel);
        }
        let may_speak = self.life.may_speak();
        let receiver = self.receiver.as_mut().filter(|_| may_speak);
        match receiver.and_then(Receiver::shrink) {
            Some(credit) => self.send_credit(credit, false, out).map_err(internal),
            None => self.grant_credit(now, out).map_err(internal),
        }
    }

    /// Requests up to `count` deliveries; with `drain`, the broker reports when it has no more.
    /// Only for a link attached with a prefetch of zero.
    pub fn demand(&mut self, count: u32, drain: bool, out: &mut Vec<u8>) -> Result<()> {
        let receiver = self.open_receiver()?;
        receiver.demand(count);
        let credit = receiver.credit();
        self.send_credit(credit, drain, out).map_err(internal)
    }

    /// Takes back all credit, returns the buffer, and asks the broker to report what it has sent.
    /// False if nothing can be in flight.
    pub fn hush(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        let receiver = self.receiver()?;
        if receiver.is_quiet() {
            return Ok(false);
        }
        receiver.set_prefetch(0);
        self.ask_for_quiet(out).map_err(internal)?;
        if let Some(receiver) = &mut self.receiver {
            receiver.release_buffered(out, self.channel);
        }
        Ok(true)
    }
}
