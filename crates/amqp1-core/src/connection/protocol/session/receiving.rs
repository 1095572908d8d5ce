//! The client's operations on a session's receiver.

use std::time::Instant;

use super::Session;
use crate::connection::protocol::internal;
use crate::connection::protocol::link::Phase;
use crate::connection::protocol::receiver::{Incoming, Receiver};
use crate::connection::protocol::tracker::Tracked;
use crate::error::{Error, Result};
use crate::wire::DecodeError;

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
            let is_dry = r.is_low() || r.is_short() || r.is_starving();
            r.has_dropped() || (!took_one && (r.is_careful() || is_dry))
        })
    }

    /// Settles deliveries that were taken back, and requests the delivery that PHP waits for.
    pub fn catch_up(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<()> {
        if let Some(receiver) = &mut self.receiver {
            receiver.settle_dropped(out, self.channel);
        }
        self.flush(now, out).map_err(internal)
    }

    /// Accepts a delivery.
    pub fn accept(
        &mut self,
        delivery_id: u32,
        now: impl FnOnce() -> Instant,
        out: &mut Vec<u8>,
    ) -> Result<Settled> {
        let channel = self.channel;
        let receiver = self.open_receiver()?;
        if receiver.settle_recalled(out, channel, delivery_id) {
            return Ok(Settled::Recalled);
        }
        Ok(match receiver.accept(delivery_id, now) {
            true => Settled::AtOnce,
            false => Settled::Gathered,
        })
    }

    /// Grants credit for accepted deliveries, and reports them to the broker.
    ///
    /// The credit comes first, because the next delivery depends on it alone. To a quorum queue of
    /// RabbitMQ, both are commands of its log, which are written to disk one after the other if they
    /// arrive one by one. As much is held at once as before: PHP is done with what is accepted, and
    /// both frames leave in one write. If the connection breaks in between, what was accepted is
    /// delivered again, as after a break before the write.
    pub fn flush(
        &mut self,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> std::result::Result<(), DecodeError> {
        self.grant_credit(now, out)?;
        if let Some(receiver) = &mut self.receiver {
            receiver.flush(out, self.channel);
        }
        Ok(())
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
            self.send_credit(0, false, out);
        }
        if let Some(receiver) = self.receiver.as_mut().filter(|_| prefetch == 0) {
            receiver.release_buffered(out, self.channel);
        }
        let may_speak = self.life.may_speak();
        let receiver = self.receiver.as_mut().filter(|_| may_speak);
        match receiver.and_then(Receiver::shrink) {
            Some(credit) => {
                self.send_credit(credit, false, out);
                Ok(())
            }
            None => self.grant_credit(now, out).map_err(internal),
        }
    }

    /// Requests up to `count` deliveries; with `drain`, the broker reports when it has no more.
    /// Only for a link attached with a prefetch of zero.
    pub fn demand(&mut self, count: u32, drain: bool, out: &mut Vec<u8>) -> Result<()> {
        let receiver = self.open_receiver()?;
        receiver.demand(count);
        let credit = receiver.credit();
        self.send_credit(credit, drain, out);
        Ok(())
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::BytesMut;
    use fe2o3_amqp::frames::amqp::FrameBody;
    use fe2o3_amqp_types::definitions::Role;

    use super::*;
    use crate::base::memory::Block;
    use crate::base::wait::Signal;
    use crate::connection::protocol::link::{attach, source, target};
    use crate::connection::protocol::output::Output;
    use crate::connection::protocol::MAX_FRAME_SIZE;
    use crate::wire::frame::{self, Frame, Transfer};

    /// A session that has granted its receiver's first credit.
    fn receiving(prefetch: u32) -> Session {
        let mut session = Session::new(0, 0, 4096, Signal::new());
        session.receiver = Some(Receiver::new("r".to_owned(), prefetch, Signal::new()));
        let answer = attach("r", Role::Sender, source("q"), target(None));
        session
            .on_attach(answer, Instant::now(), &mut Output::default())
            .unwrap();
        session
    }

    fn deliver(session: &mut Session, delivery_id: u32) {
        let transfer = Transfer {
            delivery_id: Some(delivery_id),
            ..Transfer::default()
        };
        let (mut block, mut out) = (Block::default(), Vec::new());
        session
            .on_transfer(&transfer, b"x", &mut block, Instant::now(), &mut out)
            .unwrap();
        assert!(out.is_empty());
        session.take().unwrap().unwrap();
    }

    /// The frames: credit, or the deliveries that are settled.
    fn told(out: &[u8]) -> Vec<String> {
        let mut input = BytesMut::from(out);
        let mut told = Vec::new();
        while let Some((_, frame)) = frame::decode(&mut input, MAX_FRAME_SIZE).unwrap() {
            told.push(match frame {
                Frame::Disposition(one) => format!("settled {}-{}", one.first, one.last),
                Frame::Other(body) => match *body {
                    FrameBody::Flow(flow) => format!("credit {}", flow.link_credit.unwrap()),
                    other => format!("{other:?}"),
                },
                other => format!("{other:?}"),
            });
        }
        told
    }

    #[test]
    fn the_next_delivery_does_not_wait_for_the_settlement_of_the_last() {
        let (mut session, mut out) = (receiving(1), Vec::new());
        for id in 0..2 {
            deliver(&mut session, id);
            out.clear();
            assert_eq!(
                session.accept(id, Instant::now, &mut out).unwrap(),
                Settled::AtOnce
            );
            session.flush(Instant::now(), &mut out).unwrap();
            assert_eq!(
                told(&out),
                ["credit 1".to_owned(), format!("settled {id}-{id}")]
            );
            let receiver = session.receiver().unwrap();
            assert_eq!((receiver.held(), receiver.credit()), (0, 1));
        }
    }

    /// Otherwise, the broker could deliver another one before the one that is returned.
    #[test]
    fn what_goes_back_is_told_before_credit_is_granted() {
        let (mut session, mut out) = (receiving(1), Vec::new());
        deliver(&mut session, 0);
        let released = [0x00, 0x53, 0x26, 0x45];
        session
            .settle(0, &released, Instant::now(), &mut out)
            .unwrap();
        assert_eq!(told(&out), ["settled 0-0", "credit 1"]);
    }
}
