//! Bytes on their way to the socket.

/// The most written bytes that are kept before the remaining ones move to the front.
pub(super) const COMPACT: usize = 64 * 1024;

/// Bytes on their way to the socket.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub bytes: Vec<u8>,
    pub written: usize,
}

impl Output {
    pub fn pending(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    pub fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    pub fn advance(&mut self, count: usize) {
        self.written += count;
        if self.is_empty() {
            self.bytes.clear();
            self.written = 0;
            // A large message must not occupy memory for the connection's whole life.
            if self.bytes.capacity() > 4 * 1024 * 1024 {
                self.bytes.shrink_to(256 * 1024);
            }
        } else if self.written > COMPACT && self.written > self.bytes.len() / 2 {
            // A peer that reads slowly, but never everything, must not let it grow.
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }
}
