//! Flows between a session and its broker: windows and credit.

use std::time::Instant;

use fe2o3_amqp_types::definitions::Handle;
use fe2o3_amqp_types::performatives::Flow;

use super::{Session, INCOMING_WINDOW, OUTGOING_WINDOW};
use crate::connection::protocol::link::RECEIVER;
use crate::connection::protocol::output::Output;
use crate::connection::protocol::receiver::waiting::Waited;
use crate::connection::protocol::receiver::Receiver;
use crate::connection::protocol::sender::lanes::Lane;
use crate::wire::credit;
use crate::wire::frame;
use crate::wire::DecodeError;

impl Session {
    /// Handles the broker's `flow`.
    pub fn on_flow(
        &mut self,
        flow: &Flow,
        now: Instant,
        out: &mut Output,
    ) -> Result<(), DecodeError> {
        let base = flow.next_incoming_id.unwrap_or(0);
        let sent = self.next_outgoing_id.wrapping_sub(base);
        self.remote_incoming_window = flow.incoming_window.saturating_sub(sent);
        let handle = flow.handle.as_ref().map(|handle| handle.0);
        if let Some(lane) = self.lane(handle) {
            lane.on_flow(flow.delivery_count, flow.link_credit.unwrap_or(0));
        }
        let mut drain_again = None;
        if let Some(receiver) = &mut self.receiver {
            if handle.is_some() && handle == receiver.remote_handle {
                if flow.drain {
                    let credit = flow.link_credit.unwrap_or(0);
                    drain_again = receiver.on_drained(flow.delivery_count, credit, now);
                } else {
                    let credit = flow.link_credit.unwrap_or(0);
                    receiver.on_state(flow.delivery_count, credit, flow.available, now);
                }
            }
        }
        // After our `end`, nothing may be sent on the channel (2.5.5), even on request.
        if !self.life.may_speak() {
            return Ok(());
        }
        match drain_again {
            Some(credit) => self.send_credit(credit, true, out.frames()),
            // To replace the credit that the drain has used up.
            None if flow.drain => self.grant_credit(now, out.frames())?,
            None => {}
        }
        self.pump(out);
        // What the waiting messages have left of the credit is given up.
        let drained = self.lane(handle).filter(|_| flow.drain);
        if let Some((ours, delivery_count)) = drained.map(|lane| (lane.handle, lane.drain())) {
            let mut answer = self.flow();
            answer.handle = Some(Handle(ours));
            answer.delivery_count = Some(delivery_count);
            answer.link_credit = Some(0);
            answer.drain = true;
            return frame::encode_performative(out.frames(), self.channel, &answer);
        }
        if flow.echo {
            return frame::encode_performative(out.frames(), self.channel, &self.flow());
        }
        Ok(())
    }

    /// The sender's lane with the broker's handle.
    fn lane(&mut self, remote_handle: Option<u32>) -> Option<&mut Lane> {
        self.sender.as_mut()?.lanes.of_remote(remote_handle?)
    }

    pub(super) fn flow(&self) -> Flow {
        Flow {
            next_incoming_id: self.life.is_begun().then_some(self.next_incoming_id),
            incoming_window: self.incoming_window,
            next_outgoing_id: self.next_outgoing_id,
            outgoing_window: OUTGOING_WINDOW,
            handle: None,
            delivery_count: None,
            link_credit: None,
            available: None,
            drain: false,
            echo: false,
            properties: None,
        }
    }

    /// Grants credit that the receiver needs.
    pub fn grant_credit(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let Some(receiver) = &mut self.receiver else {
            return Ok(());
        };
        if let Some(credit) = receiver.wanted_credit(now) {
            self.send_credit(credit, false, out);
        }
        Ok(())
    }

    /// Sends the receiver's credit; with `drain`, asks the broker to use it up.
    pub fn send_credit(&mut self, credit: u32, drain: bool, out: &mut Vec<u8>) {
        let Some(receiver) = &self.receiver else {
            return;
        };
        // Each flow tells the window, so it is renewed as well.
        self.incoming_window = INCOMING_WINDOW;
        let granted = credit::Credit {
            next_incoming_id: self.life.is_begun().then_some(self.next_incoming_id),
            incoming_window: self.incoming_window,
            next_outgoing_id: self.next_outgoing_id,
            outgoing_window: OUTGOING_WINDOW,
            handle: RECEIVER,
            delivery_count: receiver.known_count(),
            link_credit: credit,
            drain,
        };
        credit::encode(out, self.channel, &granted);
    }

    /// Returns deliveries that the receiver has kept waiting for too long.
    pub fn return_waited(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let Some(receiver) = &mut self.receiver else {
            return Ok(());
        };
        let kept = match receiver.waited(now) {
            Waited::Nothing => return Ok(()),
            Waited::All => {
                receiver.slow_down();
                0
            }
            Waited::Beyond(kept) => kept,
        };
        self.return_beyond(kept, out)
    }

    /// Returns all but the next `kept` deliveries.
    fn return_beyond(&mut self, kept: usize, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        // Before they are returned, or they would be delivered again.
        if self.receiver.as_mut().is_some_and(Receiver::revoke) {
            self.send_credit(0, false, out);
        }
        if let Some(receiver) = &mut self.receiver {
            receiver.release_beyond(kept, out, self.channel);
        }
        Ok(())
    }

    /// Returns what the receiver's buffer cannot contain, if it adapts its prefetch, and requests
    /// no more for now.
    pub(super) fn return_overflow(&mut self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        match self.receiver.as_ref().and_then(Receiver::overflow) {
            Some(kept) => self.return_beyond(kept, out),
            None => Ok(()),
        }
    }

    /// Asks whether there are more deliveries for the receiver.
    pub fn ask(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let Some(receiver) = &mut self.receiver else {
            return Ok(());
        };
        receiver.flush(out, self.channel);
        match receiver.ask(now) {
            Some(credit) => {
                self.send_credit(credit, true, out);
                Ok(())
            }
            None => self.grant_credit(now, out),
        }
    }

    /// Tells the broker that no more is wanted, and asks it to report what it has sent.
    pub fn ask_for_quiet(&self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let Some(receiver) = &self.receiver else {
            return Ok(());
        };
        let mut flow = self.flow();
        flow.handle = Some(Handle(RECEIVER));
        flow.delivery_count = receiver.known_count();
        flow.link_credit = Some(0);
        flow.echo = true;
        frame::encode_performative(out, self.channel, &flow)
    }
}
