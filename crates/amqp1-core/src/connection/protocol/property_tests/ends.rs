//! The model broker's ends of sessions and links.

use std::collections::BTreeMap;

use bytes::Bytes;
use fe2o3_amqp_types::performatives::Flow;

use super::message::Message;
use crate::wire::frame;

/// The number of transfer frames that the client may send.
pub const WINDOW: u32 = 5;

#[derive(Debug, Default)]
pub struct Session {
    /// Our own channel.
    pub mine: u16,
    /// Whether our end is sent.
    pub is_ended: bool,
    pub next_incoming: u32,
    pub incoming_window: u32,
    pub next_outgoing: u32,
    pub remote_window: u32,
    /// For the client's receiver.
    pub source: Option<Source>,
    /// For the lanes of the client's sender.
    pub targets: Vec<Target>,
    /// The client's next delivery-id.
    pub next_delivery: u32,
    /// The number of its last complete message.
    pub last_number: Option<u32>,
    /// Of the client's messages: delivery-ids and the client's handles.
    pub unsettled: Vec<(u32, u32)>,
}

/// The node that the client receives from.
#[derive(Debug, Default)]
pub struct Source {
    pub handle: u32,
    pub delivery_count: u32,
    /// The highest delivery-count that the client's credit allows now, and has ever allowed.
    pub limit: u32,
    pub furthest: u32,
    pub drain: bool,
    pub sends_settled: bool,
    pub next_delivery: u32,
    /// The delivery being sent: the rest of it.
    pub partial: Option<(u32, Bytes)>,
    pub unsettled: BTreeMap<u32, Message>,
    /// Taken back by us, and not settled by the client.
    pub recalled: Vec<u32>,
    /// Payloads of all arrived deliveries, by delivery-id.
    pub sent: BTreeMap<u32, Bytes>,
}

pub fn live(sessions: &mut BTreeMap<u16, Session>, channel: u16) -> &mut Session {
    sessions
        .get_mut(&channel)
        .expect("a session that is begun and not ended by the client")
}

impl Source {
    /// The credit that the client's receiver still grants.
    pub fn credit(&self) -> u32 {
        (self.limit.wrapping_sub(self.delivery_count) as i32).max(0) as u32
    }
}

/// The node that the client sends to.
#[derive(Debug, Default)]
pub struct Target {
    /// The client's handle.
    pub theirs: u32,
    pub handle: u32,
    pub delivery_count: u32,
    /// The highest limit that we ever granted; it may be used until the client learns of a lower
    /// one.
    pub limit: u32,
    pub partial: Option<(u32, bool, Vec<u8>)>,
}

impl Session {
    /// Our handle of a link, by the client's.
    pub fn handle_of(&self, theirs: u32) -> Option<u32> {
        if theirs == 1 {
            return self.source.as_ref().map(|link| link.handle);
        }
        let mut targets = self.targets.iter();
        let target = targets.find(|target| target.theirs == theirs);
        target.map(|target| target.handle)
    }

    pub fn flow(&self) -> Flow {
        Flow {
            next_incoming_id: Some(self.next_incoming),
            incoming_window: self.incoming_window,
            next_outgoing_id: self.next_outgoing,
            outgoing_window: 1000,
            handle: None,
            delivery_count: None,
            link_credit: None,
            available: None,
            drain: false,
            echo: false,
            properties: None,
        }
    }

    /// Handles one transfer frame; returns a complete message.
    pub fn transfer(&mut self, transfer: &frame::Transfer, payload: &Bytes) -> Option<Bytes> {
        if self.is_ended {
            return None;
        }
        assert!(self.incoming_window > 0, "sent beyond the window");
        self.incoming_window -= 1;
        self.next_incoming = self.next_incoming.wrapping_add(1);
        if let Some(id) = transfer.delivery_id {
            assert_eq!(id, self.next_delivery, "a session counts all deliveries");
            self.next_delivery += 1;
        }
        let begun = self.targets.iter().find(|target| target.partial.is_some());
        if let Some(begun) = begun {
            assert_eq!(begun.theirs, transfer.handle, "in the midst of another");
        }
        // We may have detached it, and the client does not know yet.
        let theirs = transfer.handle;
        let mut targets = self.targets.iter_mut();
        let target = targets.find(|target| target.theirs == theirs)?;
        let (id, settled, mut bytes) = match target.partial.take() {
            Some(partial) => partial,
            None => {
                target.delivery_count += 1;
                assert!(target.delivery_count <= target.limit, "sent without credit");
                let id = transfer.delivery_id.expect("the first frame has an id");
                (id, transfer.settled, Vec::new())
            }
        };
        bytes.extend_from_slice(payload);
        if transfer.more {
            target.partial = Some((id, settled, bytes));
            return None;
        }
        if !settled {
            self.unsettled.push((id, theirs));
        }
        let number = u32::from_be_bytes(bytes[..4].try_into().unwrap());
        assert!(Some(number) > self.last_number, "out of order");
        self.last_number = Some(number);
        Some(bytes.into())
    }
}
