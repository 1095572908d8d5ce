//! A session with at most one sender, of one or several links, and one receiver.
//!
//! Each link (or link pair) has its own session. RabbitMQ 4.0 refuses an attach by ending the whole
//! session, which thus affects no other link.

mod arriving;
mod flow;
pub(crate) mod receiving;

use std::sync::Arc;
use std::time::Instant;

use fe2o3_amqp_types::definitions::{Handle, Role};
use fe2o3_amqp_types::performatives::{Attach, Begin, Detach, Disposition, End};

use super::life::Life;
use super::link::{Phase, RECEIVER, UNKNOWN_LINK};
use super::output::Output;
use super::parts::Parts;
use super::receiver::Receiver;
use super::sender::{Ended, Sender};
use super::tracker::Tracked;
use crate::base::memory::Block;
use crate::base::wait::Signal;
use crate::error::{Error, Result};
use crate::wire::frame::{self, Transfer};
use crate::wire::DecodeError;

/// Writing a frame fails if it cannot be encoded.
type Written = std::result::Result<(), DecodeError>;

/// The number of transfer frames that the broker may send before it needs our flow.
const INCOMING_WINDOW: u32 = 4096;

/// The number of transfer frames that we announce: as many as can be told.
const OUTGOING_WINDOW: u32 = u32::MAX >> 1;

#[derive(Debug)]
pub(crate) struct Session {
    /// Distinguishes this session from later ones on the same channel.
    pub epoch: u64,
    pub channel: u16,
    pub life: Life,
    pub sender: Option<Sender>,
    pub receiver: Option<Receiver>,
    /// Raised when an attach is answered or the session ends.
    pub signal: Signal,
    /// Whether it is among those that [`super::Protocol::flush_all`] flushes.
    pub gathers: bool,
    next_outgoing_id: u32,
    remote_incoming_window: u32,
    next_incoming_id: u32,
    incoming_window: u32,
    max_frame_size: usize,
}

impl Session {
    pub fn new(epoch: u64, channel: u16, max_frame_size: usize, signal: Signal) -> Self {
        Self {
            epoch,
            channel,
            life: Life::new(),
            sender: None,
            receiver: None,
            signal,
            gathers: false,
            next_outgoing_id: 0,
            remote_incoming_window: 0,
            next_incoming_id: 0,
            incoming_window: INCOMING_WINDOW,
            max_frame_size,
        }
    }

    /// Writes our `begin`.
    pub fn begin(&self, out: &mut Vec<u8>) -> Written {
        let begin = Begin {
            remote_channel: None,
            next_outgoing_id: self.next_outgoing_id,
            incoming_window: self.incoming_window,
            outgoing_window: OUTGOING_WINDOW,
            handle_max: Handle(7),
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        };
        frame::encode_performative(out, self.channel, &begin)
    }

    /// The number of transfer frames sent, for tests.
    #[cfg(test)]
    pub fn next_outgoing(&self) -> u32 {
        self.next_outgoing_id
    }

    /// Attaches its sender.
    pub fn attach_sender(&mut self, sender: Sender, attach: &Attach, out: &mut Vec<u8>) -> Written {
        self.sender = Some(sender);
        frame::encode_performative(out, self.channel, attach)
    }

    /// Attaches its receiver.
    pub fn attach_receiver(
        &mut self,
        receiver: Receiver,
        attach: &Attach,
        out: &mut Vec<u8>,
    ) -> Written {
        self.receiver = Some(receiver);
        frame::encode_performative(out, self.channel, attach)
    }

    /// Sends a message over its sender.
    ///
    /// # Errors
    /// The error that ended the link.
    pub fn send(
        &mut self,
        message: Parts,
        format: u32,
        tracked: Option<Tracked>,
        out: &mut Output,
    ) -> Result<()> {
        let Some(sender) = &mut self.sender else {
            return Err(Error::connection("the link is closed"));
        };
        if let Phase::Detached(error) = &sender.phase {
            return Err(error.clone());
        }
        sender.push(message, format, tracked);
        self.pump(out);
        Ok(())
    }

    /// Handles the broker's `begin`.
    pub fn on_begin(&mut self, remote: u16, begin: &Begin) -> Written {
        self.life.begun(remote)?;
        self.next_incoming_id = begin.next_outgoing_id;
        self.remote_incoming_window = begin.incoming_window;
        if let Some(sender) = &mut self.sender {
            sender.lanes.limit_handles(begin.handle_max.0);
        }
        self.signal.raise();
        Ok(())
    }

    /// Handles the broker's `attach`, the other end of our sender or receiver.
    pub fn on_attach(&mut self, attach: Attach, now: Instant, out: &mut Output) -> Written {
        match attach.role {
            Role::Receiver => {
                let sender = self.sender.as_mut().ok_or(UNKNOWN_LINK)?;
                if let Some((handle, error)) = sender.on_attach(&attach)? {
                    return self.refuse(handle, &error, out.frames());
                }
            }
            Role::Sender => {
                // A refusal has no terminus; its reason follows in a detach.
                let refused = attach.source.is_none();
                let receiver = self.receiver.as_mut().filter(|r| r.name == attach.name);
                let receiver = receiver.ok_or(UNKNOWN_LINK)?;
                let attach = Arc::new(attach);
                receiver.on_attach(Arc::clone(&attach));
                if !refused && receiver.phase == Phase::Attaching {
                    if let Err(error) = receiver.ask.judge(&attach) {
                        return self.refuse(RECEIVER, &error, out.frames());
                    }
                    receiver.phase = Phase::Attached;
                    receiver.signal.raise();
                }
            }
        }
        self.signal.raise();
        self.grant_credit(now, out.frames())?;
        self.pump(out);
        Ok(())
    }

    /// Detaches because the node does not meet the requirement: nothing may be sent to it or
    /// received from it.
    fn refuse(&mut self, handle: u32, error: &Error, out: &mut Vec<u8>) -> Written {
        self.detach(handle, out)?;
        self.fail(error);
        self.end(out)
    }

    /// Handles the broker's `detach`, which ends the link with this error.
    pub fn on_detach(&mut self, detach: &Detach, error: &Error, out: &mut Vec<u8>) -> Written {
        let remote = detach.handle.0;
        let sender = self.sender.as_mut();
        let ours = match sender.and_then(|sender| sender.on_detach(remote, error)) {
            Some(Ended::Lane(handle)) if self.life.may_speak() => return self.detach(handle, out),
            Some(Ended::Lane(_)) => return Ok(()),
            Some(Ended::Sender(handle)) => Some(handle),
            None => {
                let receiver = self.receiver.as_mut();
                receiver
                    .filter(|receiver| receiver.remote_handle == Some(remote))
                    .map(|receiver| {
                        receiver.fail(error);
                        RECEIVER
                    })
            }
        };
        self.signal.raise();
        match ours {
            // Answered with a detach, unless ours came first. The session exists only for this link
            // or its pair, so its channel is no longer needed.
            Some(handle) if self.life.may_speak() => self.refuse(handle, error, out),
            _ => Ok(()),
        }
    }

    /// The error that ended its links, if they ended before the session.
    pub fn why_detached(&self) -> Option<&Error> {
        let phases = [
            self.sender.as_ref().map(|sender| &sender.phase),
            self.receiver.as_ref().map(|receiver| &receiver.phase),
        ];
        phases.into_iter().flatten().find_map(Phase::over)
    }

    /// Detaches the link of our `handle`.
    pub fn detach(&self, handle: u32, out: &mut Vec<u8>) -> Written {
        let detach = Detach {
            handle: Handle(handle),
            closed: true,
            error: None,
        };
        frame::encode_performative(out, self.channel, &detach)
    }

    /// Handles one transfer frame, which was read at `now`. Returns when the first buffered
    /// delivery will have waited for too long.
    pub fn on_transfer(
        &mut self,
        transfer: &Transfer<&[u8]>,
        payload: &[u8],
        block: &mut Block,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> std::result::Result<Option<Instant>, DecodeError> {
        self.next_incoming_id = self.next_incoming_id.wrapping_add(1);
        self.incoming_window = self.incoming_window.saturating_sub(1);
        let handle = Some(transfer.handle);
        let receiver = self.receiver.as_mut().filter(|r| r.remote_handle == handle);
        let receiver = receiver.ok_or(UNKNOWN_LINK)?;
        receiver.on_transfer(transfer, payload, block, now)?;
        if !self.life.may_speak() {
            return Ok(None);
        }
        if receiver.is_careful() {
            if receiver.return_unwelcome(out, self.channel) {
                self.send_credit(0, false, out);
            }
        } else if receiver.takes_up_speed() {
            self.grant_credit(now, out)?;
        }
        self.return_overflow(out)?;
        if self.incoming_window < INCOMING_WINDOW / 2 {
            self.incoming_window = INCOMING_WINDOW;
            frame::encode_performative(out, self.channel, &self.flow())?;
        }
        let waited_at = self.receiver.as_ref().and_then(Receiver::waited_at);
        if let Some(receiver) = self.receiver.as_mut().filter(|r| r.is_paused()) {
            receiver.release_buffered(out, self.channel);
        }
        Ok(waited_at)
    }

    /// Handles a disposition from the broker.
    pub fn on_disposition(
        &mut self,
        disposition: &frame::Disposition,
        out: &mut Vec<u8>,
    ) -> Written {
        if !disposition.from_receiver {
            let (first, last) = (disposition.first, disposition.last);
            match (&mut self.receiver, &disposition.state) {
                (Some(receiver), state) if disposition.settled => {
                    receiver.on_settled(first, last, state.as_ref());
                }
                // After our `end`, no answer is needed: the end returns everything.
                (Some(receiver), Some(frame::State::Released)) if self.life.may_speak() => {
                    receiver.on_released((first, last));
                    if receiver.return_doubtful(out, self.channel) {
                        self.send_credit(0, false, out);
                    }
                    if let Some(receiver) = &mut self.receiver {
                        receiver.settle_dropped(out, self.channel);
                    }
                }
                _ => {}
            }
            return Ok(());
        }
        let terminal = !matches!(disposition.state, None | Some(frame::State::Other));
        let Some(sender) = &mut self.sender else {
            return Ok(());
        };
        if !disposition.settled && !terminal {
            return Ok(());
        }
        sender.on_disposition(
            disposition.first,
            disposition.last,
            disposition.state.as_ref(),
        );
        if !disposition.settled && self.life.may_speak() {
            // The receiver settles second: it waits for us to forget the deliveries.
            let answer = Disposition {
                role: Role::Sender,
                first: disposition.first,
                last: Some(disposition.last),
                settled: true,
                state: None,
                batchable: false,
            };
            frame::encode_performative(out, self.channel, &answer)?;
        }
        Ok(())
    }

    /// Sends as much as possible.
    pub fn pump(&mut self, out: &mut Output) {
        // A request must not overtake the credit for its answer: RabbitMQ ends the session of a
        // management link without credit.
        let attaching = |receiver: &Receiver| receiver.phase == Phase::Attaching;
        if self.receiver.as_ref().is_some_and(attaching) {
            return;
        }
        if let Some(sender) = &mut self.sender {
            let frames = sender.pump(
                out,
                self.channel,
                &mut self.remote_incoming_window,
                self.max_frame_size,
            );
            self.next_outgoing_id = self.next_outgoing_id.wrapping_add(frames);
        }
    }

    /// Detaches the links and ends the session; buffered deliveries are returned.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Written {
        if !self.life.end() {
            return Ok(());
        }
        self.take_leave(out)
    }

    /// Gives up a session whose begin the broker has not answered in time: its links fail, and
    /// callers open others.
    pub fn give_up(&mut self, error: &Error, out: &mut Vec<u8>) -> Written {
        let is_first = self.life.give_up();
        self.fail(error);
        match is_first {
            // In case the broker was only slow.
            true => self.take_leave(out),
            false => Ok(()),
        }
    }

    fn take_leave(&mut self, out: &mut Vec<u8>) -> Written {
        let closed = Error::connection("the link was closed");
        // Otherwise, returned deliveries would arrive again before the broker has read that this is
        // the end.
        if self.receiver.as_mut().is_some_and(Receiver::stop_asking) {
            self.send_credit(0, false, out);
        }
        if let Some(receiver) = &mut self.receiver {
            let attached = receiver.phase == Phase::Attached;
            if attached {
                receiver.release_buffered(out, self.channel);
                receiver.return_in_hand(out, self.channel);
            }
            receiver.fail(&closed);
            if attached {
                self.detach(RECEIVER, out)?;
            }
        }
        if let Some(sender) = &mut self.sender {
            let attached = sender.phase == Phase::Attached;
            sender.fail(&closed);
            let lanes = self
                .sender
                .iter()
                .flat_map(|sender| sender.lanes.attached());
            for handle in lanes.filter(|_| attached) {
                self.detach(handle, out)?;
            }
        }
        frame::encode_performative(out, self.channel, &End { error: None })
    }

    /// Ends the session: its links fail.
    pub fn fail(&mut self, error: &Error) {
        if let Some(sender) = &mut self.sender {
            sender.fail(error);
        }
        if let Some(receiver) = &mut self.receiver {
            receiver.fail(error);
        }
        self.signal.raise();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::link::{attach, source, target};
    use super::super::terminus::Ask;
    use super::*;
    use crate::error::ErrorKind;
    use crate::format::history::Ledger;

    #[test]
    fn a_job_is_not_sent_to_what_is_no_queue() {
        let mut session = Session::new(0, 0, 4096, Signal::new());
        session.sender = Some(Sender::new("s".to_owned()).asking(Ask::ConfirmedQueue));
        let sender = session.sender.as_mut().unwrap();
        sender.push(bytes::Bytes::from_static(b"job").into(), 0, None);
        let mut answer = attach("s", Role::Receiver, source("amqp1"), target(Some("q")));
        answer.initial_delivery_count = None;
        session
            .on_attach(answer, Instant::now(), &mut Output::default())
            .unwrap();
        let sender = session.sender.as_mut().unwrap();
        sender.lanes.current().on_flow(Some(0), 10);
        let mut out = Output::default();
        assert_eq!(sender.pump(&mut out, 0, &mut 100, 4096), 0);
        assert!(matches!(&sender.phase, Phase::Detached(error)
            if error.kind() == ErrorKind::Unsupported && error.message().contains("'q'")));
    }

    #[test]
    fn nothing_is_said_on_a_channel_after_its_end() {
        let mut session = Session::new(0, 0, 4096, Signal::new());
        session.receiver = Some(Receiver::new("r".to_owned(), 10, Signal::new()));
        session.receiver.as_mut().unwrap().remote_handle = Some(0);
        session.end(&mut Vec::new()).unwrap();
        let mut out = Output::default();
        let mut flow = session.flow();
        flow.echo = true;
        session.on_flow(&flow, Instant::now(), &mut out).unwrap();
        let transfer = Transfer {
            delivery_id: Some(1),
            ..Transfer::default()
        };
        let mut block = Block::default();
        // As many as would renew the window.
        for _ in 0..INCOMING_WINDOW {
            session
                .on_transfer(&transfer, &[], &mut block, Instant::now(), out.frames())
                .unwrap();
        }
        assert!(out.is_empty());
    }

    /// RabbitMQ may take back deliveries that cross our end.
    #[test]
    fn what_is_taken_back_behind_our_end_is_not_answered() {
        let mut session = Session::new(0, 0, 4096, Signal::new());
        let receiver = Receiver::new("r".to_owned(), 10, Signal::new()).with_ledger(Ledger::All);
        session.receiver = Some(receiver);
        let mut answer = attach("r", Role::Sender, source("q"), target(None));
        answer.handle = Handle(3);
        let (now, mut out) = (Instant::now(), Output::default());
        session.on_attach(answer, now, &mut out).unwrap();
        assert!(session.take().unwrap().is_none());
        session.catch_up(now, out.frames()).unwrap();
        assert_eq!(session.receiver().unwrap().credit(), 1);
        session.end(out.frames()).unwrap();
        out.frames().clear();
        let released = frame::Disposition {
            from_receiver: false,
            first: 1,
            last: 1,
            settled: false,
            state: Some(frame::State::Released),
        };
        session.on_disposition(&released, out.frames()).unwrap();
        assert!(out.is_empty());
    }

    #[test]
    fn a_delivery_count_is_not_said_before_the_broker_has_begun_it() {
        let mut session = Session::new(0, 0, 4096, Signal::new());
        session.receiver = Some(Receiver::new("r".to_owned(), 0, Signal::new()));
        session.demand(2, false, &mut Vec::new()).unwrap();
        assert_eq!(session.receiver().unwrap().known_count(), None);
        let mut answer = attach("r", Role::Sender, source("q"), target(None));
        answer.initial_delivery_count = Some(7);
        session
            .on_attach(answer, Instant::now(), &mut Output::default())
            .unwrap();
        assert_eq!(session.receiver().unwrap().known_count(), Some(7));
    }
}
