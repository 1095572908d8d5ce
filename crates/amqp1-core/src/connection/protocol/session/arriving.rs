//! A session's part in [`crate::connection::protocol::arriving`].

use std::time::Instant;

use super::Session;
use crate::base::memory::Block;
use crate::connection::protocol::link::UNKNOWN_LINK;
use crate::connection::protocol::receiver::Receiver;
use crate::wire::frame::Transfer;
use crate::wire::DecodeError;

impl Session {
    fn receiver_of(&mut self, remote_handle: u32) -> Option<&mut Receiver> {
        let receiver = self.receiver.as_mut();
        receiver.filter(|one| one.remote_handle == Some(remote_handle))
    }

    /// Handles the beginning of a transfer frame with `whole` bytes of a message. Its end follows
    /// as a transfer.
    pub fn on_beginning(
        &mut self,
        transfer: Transfer<&[u8]>,
        payload: &[u8],
        whole: usize,
        block: &mut Block,
        now: Instant,
    ) -> Result<(), DecodeError> {
        let receiver = self.receiver_of(transfer.handle).ok_or(UNKNOWN_LINK)?;
        receiver.expect(whole)?;
        let begun = Transfer {
            more: true,
            aborted: false,
            ..transfer
        };
        receiver.on_transfer(&begun, payload, block, now)
    }

    /// Handles a further part of the message in a transfer frame that has begun.
    pub fn on_payload(&mut self, remote_handle: u32, payload: &[u8]) {
        if let Some(message) = self.arriving(remote_handle) {
            message.extend_from_slice(payload);
        }
    }

    /// The message that is arriving over the broker's link, unless our end of it has ended.
    pub fn arriving(&mut self, remote_handle: u32) -> Option<&mut Vec<u8>> {
        self.receiver_of(remote_handle)?.arriving()
    }
}
