//! The lanes of a sender: links to one target in one session, each with its own credit.
//!
//! Some brokers grant a link less credit than they could use: RabbitMQ 170, renewed only while
//! fewer than that are unconfirmed. A further link brings as much again. If the broker handles the
//! transfers of a session in the order of their frames, whatever link they came over, messages stay
//! in order; only its dialect knows, and allows further lanes.
//!
//! To its users, a sender remains one link: it ends with any of its lanes, because messages on the
//! other lanes would overtake those that are sent again. A lane that the broker refuses has carried
//! nothing: it is forgotten, and no other is tried.

use fe2o3_amqp_types::definitions::Handle;
use fe2o3_amqp_types::performatives::Attach;

use crate::connection::protocol::link::{RECEIVER, SENDER};
use crate::wire::frame;

/// The number of waiting messages from which another lane is worth its attach.
const WAITING: usize = 32;

/// One link of a sender.
#[derive(Debug)]
pub(crate) struct Lane {
    pub name: String,
    /// Our handle.
    pub handle: u32,
    pub remote_handle: Option<u32>,
    pub is_attached: bool,
    credit: u32,
    /// Whether it ever had credit, which messages have used since.
    is_granted: bool,
    delivery_count: u32,
}

impl Lane {
    fn new(name: String, handle: u32) -> Self {
        Self {
            name,
            handle,
            remote_handle: None,
            is_attached: false,
            credit: 0,
            is_granted: false,
            delivery_count: 0,
        }
    }

    /// Applies the credit of the broker's flow.
    pub fn on_flow(&mut self, delivery_count: Option<u32>, link_credit: u32) {
        let base = delivery_count.unwrap_or(0).wrapping_add(link_credit);
        let credit = base.wrapping_sub(self.delivery_count);
        // A broker that took back credit can make the difference "negative".
        self.credit = if credit > i32::MAX as u32 { 0 } else { credit };
        self.is_granted = self.credit > 0;
    }

    /// Uses the credit of one message.
    pub fn use_credit(&mut self) {
        self.credit -= 1;
        self.delivery_count = self.delivery_count.wrapping_add(1);
    }

    /// Gives up its credit for a drain (2.6.7). Returns the delivery-count to report.
    pub fn drain(&mut self) -> u32 {
        self.delivery_count = self.delivery_count.wrapping_add(self.credit);
        self.credit = 0;
        self.is_granted = false;
        self.delivery_count
    }

    /// A lane that the broker refuses may get credit before its detach.
    fn can_send(&self) -> bool {
        self.is_attached && self.credit > 0
    }

    fn is_used_up(&self) -> bool {
        self.is_granted && self.credit == 0
    }
}

/// The lanes of a sender.
#[derive(Debug)]
pub(crate) struct Lanes {
    /// The first one is the sender's own link; only the last one may still be attaching.
    all: Vec<Lane>,
    /// The lane of the current message, and of the next ones while it has credit.
    current: usize,
    /// The most lanes.
    most: usize,
    /// The attach of the first lane, if there may be others.
    attach: Option<Box<Attach>>,
}

impl Lanes {
    /// A single lane.
    pub fn new(name: String) -> Self {
        Self {
            all: vec![Lane::new(name, SENDER)],
            current: 0,
            most: 1,
            attach: None,
        }
    }

    /// Allows further lanes, with the same attach as the first.
    pub fn allow(&mut self, further: u32, attach: &Attach) {
        if further > 0 {
            self.most = 1 + further as usize;
            self.attach = Some(Box::new(attach.clone()));
        }
    }

    /// Records the highest handle that the broker allows.
    pub fn limit_handles(&mut self, handle_max: u32) {
        // The session's receiver has a handle as well, whether there is one or not.
        self.most = self.most.min(handle_max.max(1) as usize);
    }

    /// The sender's own link.
    #[cfg(feature = "fuzzing")]
    pub fn first(&self) -> &Lane {
        &self.all[0]
    }

    /// The lane of the current message.
    pub fn current(&mut self) -> &mut Lane {
        &mut self.all[self.current]
    }

    /// The lane with this name.
    pub fn named(&mut self, name: &str) -> Option<&mut Lane> {
        self.all.iter_mut().find(|lane| lane.name == name)
    }

    /// The lane with the broker's handle.
    pub fn of_remote(&mut self, handle: u32) -> Option<&mut Lane> {
        let mut all = self.all.iter_mut();
        all.find(|lane| lane.remote_handle == Some(handle))
    }

    /// The handles of lanes that the broker has attached.
    pub fn attached(&self) -> impl Iterator<Item = u32> + '_ {
        let attached = self.all.iter().filter(|lane| lane.is_attached);
        attached.map(|lane| lane.handle)
    }

    /// Chooses the lane of the next message; false if none has credit.
    pub fn choose(&mut self) -> bool {
        let count = self.all.len();
        let lanes = (self.current..count).chain(0..self.current);
        match lanes.into_iter().find(|at| self.all[*at].can_send()) {
            Some(at) => {
                self.current = at;
                true
            }
            None => false,
        }
    }

    /// Attaches another lane, if `waiting` messages have used up all lanes.
    pub fn extend(&mut self, waiting: usize, out: &mut Vec<u8>, channel: u16) {
        let count = self.all.len();
        if count >= self.most || waiting < WAITING || !self.all.iter().all(Lane::is_used_up) {
            return;
        }
        let Some(attach) = &mut self.attach else {
            return;
        };
        let lane = Lane::new(
            format!("{}-{}", self.all[0].name, count + 1),
            RECEIVER + count as u32,
        );
        attach.name.clone_from(&lane.name);
        attach.handle = Handle(lane.handle);
        match frame::encode_performative(out, channel, attach) {
            Ok(()) => self.all.push(lane),
            Err(_) => self.most = count,
        }
    }

    /// Forgets the last lane, which the broker has refused, and tries no other.
    pub fn refused(&mut self) {
        self.all.pop();
        self.most = self.all.len();
    }
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
