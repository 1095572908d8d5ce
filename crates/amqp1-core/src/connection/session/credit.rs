//! What a session's receiver asks its broker for.

use std::time::Instant;

use fe2o3_amqp_types::definitions::Handle;

use super::Session;
use crate::connection::receiver;
use crate::wire::{frame as frames, DecodeError};

impl Session {
    /// Grants the receiver the credit it has earned.
    pub fn grant_credit(&mut self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let Some(receiver) = &mut self.receiver else {
            return Ok(());
        };
        match receiver.wanted_credit() {
            Some(credit) => self.send_credit(credit, false, out),
            None => Ok(()),
        }
    }

    /// Tells the broker the receiver's credit; with `drain`, that it is to use it up.
    pub fn send_credit(
        &self,
        credit: u32,
        drain: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        let Some(receiver) = &self.receiver else {
            return Ok(());
        };
        let mut flow = self.flow();
        flow.handle = Some(Handle(receiver::HANDLE));
        flow.delivery_count = Some(receiver.delivery_count());
        flow.link_credit = Some(credit);
        flow.drain = drain;
        frames::encode_performative(out, self.channel, &flow)
    }

    /// Gives back what the receiver has kept waiting for too long.
    pub fn return_waited(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let channel = self.channel;
        let receiver = self.receiver.as_mut();
        match receiver.is_some_and(|receiver| receiver.return_waited(now, out, channel)) {
            true => self.send_credit(0, false, out),
            false => Ok(()),
        }
    }

    /// Asks whether there is more for the receiver.
    pub fn ask(&mut self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let Some(receiver) = &mut self.receiver else {
            return Ok(());
        };
        receiver.flush(out, self.channel);
        match receiver.ask() {
            Some(credit) => self.send_credit(credit, true, out),
            None => self.grant_credit(out),
        }
    }

    /// Tells the broker that no more is wanted, and asks it to say what it has sent.
    pub fn hush(&self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let Some(receiver) = &self.receiver else {
            return Ok(());
        };
        let mut flow = self.flow();
        flow.handle = Some(Handle(receiver::HANDLE));
        flow.delivery_count = Some(receiver.delivery_count());
        flow.link_credit = Some(0);
        flow.echo = true;
        frames::encode_performative(out, self.channel, &flow)
    }
}
