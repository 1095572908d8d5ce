//! The windows of a session (AMQP 1.0 section 2.5.6).

use fe2o3_amqp_types::definitions::{Error, Handle};
use fe2o3_amqp_types::performatives::{Begin, Flow};

use super::errors;

/// The broker's outgoing window, in transfer frames: the maximum, because it holds nothing back.
pub(crate) const OUTGOING_WINDOW: u32 = i32::MAX as u32;

#[derive(Debug)]
pub(crate) struct Windows {
    next_incoming_id: u32,
    incoming_window: u32,
    /// The size to which the incoming window is refreshed.
    full: u32,
    next_outgoing_id: u32,
    remote_incoming_window: u32,
}

impl Windows {
    /// The windows of a session that the peer begins; `full` is the number of transfer frames it
    /// may send.
    pub(crate) fn new(begin: &Begin, full: u32) -> Self {
        Self {
            next_incoming_id: begin.next_outgoing_id,
            incoming_window: full,
            full,
            next_outgoing_id: 0,
            remote_incoming_window: begin.incoming_window,
        }
    }

    /// Counts an incoming transfer frame; an error if it exceeds the window.
    pub(crate) fn count_incoming(&mut self) -> Result<(), Error> {
        self.next_incoming_id = self.next_incoming_id.wrapping_add(1);
        self.incoming_window = self
            .incoming_window
            .checked_sub(1)
            .ok_or_else(errors::window_violation)?;
        Ok(())
    }

    /// Uses one transfer frame of the peer's window; false if the window is used up.
    pub(crate) fn take_outgoing(&mut self) -> bool {
        match self.remote_incoming_window.checked_sub(1) {
            Some(left) => {
                self.remote_incoming_window = left;
                self.next_outgoing_id = self.next_outgoing_id.wrapping_add(1);
                true
            }
            None => false,
        }
    }

    /// Applies the session's part of a flow.
    pub(crate) fn update(&mut self, flow: &Flow) {
        // Without next-incoming-id, the peer has not seen the begin and counts from the start (0).
        let room = flow
            .next_incoming_id
            .unwrap_or(0)
            .wrapping_add(flow.incoming_window)
            .wrapping_sub(self.next_outgoing_id);
        // The flow crossed transfers that have used up the window: the difference is negative.
        self.remote_incoming_window = if room > i32::MAX as u32 && flow.incoming_window < room {
            0
        } else {
            room
        };
    }

    /// Refreshes the incoming window once half is used; true if the peer must be told.
    pub(crate) fn refresh(&mut self) -> bool {
        let is_low = self.incoming_window <= self.full / 2;
        if is_low {
            self.incoming_window = self.full;
        }
        is_low
    }

    /// A flow with the session's state.
    pub(crate) fn flow(&self) -> Flow {
        Flow {
            next_incoming_id: Some(self.next_incoming_id),
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

    /// A flow with a link's state as well: its delivery-count and link-credit.
    pub(crate) fn link_flow(&self, handle: u32, state: (u32, u32), available: u32) -> Flow {
        let (delivery_count, credit) = state;
        Flow {
            handle: Some(Handle(handle)),
            delivery_count: Some(delivery_count),
            link_credit: Some(credit),
            available: Some(available),
            ..self.flow()
        }
    }
}
