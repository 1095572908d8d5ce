//! A receiver's part in [`crate::connection::protocol::arriving`].

use super::Receiver;
use crate::connection::protocol::link::MAX_MESSAGE_SIZE;
use crate::wire::DecodeError;

impl Receiver {
    /// Refuses a message that would be too large with `more` bytes.
    ///
    /// # Errors
    /// It would be.
    pub fn expect(&self, more: usize) -> Result<(), DecodeError> {
        let has = self.partial.as_ref().map_or(0, |whole| whole.bytes.len());
        match has as u64 + more as u64 > MAX_MESSAGE_SIZE {
            true => Err(DecodeError("a message larger than the max-message-size")),
            false => Ok(()),
        }
    }

    /// The message of a delivery whose end has not arrived.
    pub fn arriving(&mut self) -> Option<&mut Vec<u8>> {
        self.partial.as_mut().map(|whole| &mut whole.bytes)
    }
}
