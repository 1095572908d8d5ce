//! The messages in the model's queue.

use bytes::Bytes;

use crate::format::history::RETURNED;
use crate::wire::message::section;
use crate::wire::write;

/// The outcome of a message that has left the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Accepted,
    Rejected,
    /// Sent settled.
    Sent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub number: u32,
    /// Deliveries so far.
    acquired: u32,
    /// How many of these were reported as returns.
    returned: u32,
    size: usize,
}

impl Message {
    /// A message that came back `deaths` times without an outcome.
    pub fn new(number: u32, deaths: u32, size: usize) -> Self {
        Self {
            number,
            acquired: deaths,
            returned: 0,
            size,
        }
    }

    /// It comes back, reported as unseen or as failed.
    pub fn returned(mut self) -> Self {
        self.acquired += 1;
        self.returned += 1;
        self
    }

    /// It comes back without an outcome.
    pub fn lost(mut self) -> Self {
        self.acquired += 1;
        self
    }

    pub fn payload(&self) -> Bytes {
        let mut out = Vec::new();
        write::descriptor(&mut out, section::HEADER);
        write::list(&mut out, |out| {
            write::bool(out, true);
            (0..2).for_each(|_| write::null(out));
            write::bool(out, self.acquired == 0);
            write::uint(out, self.acquired - self.returned);
            5
        });
        if self.acquired > 0 {
            write::descriptor(&mut out, section::MESSAGE_ANNOTATIONS);
            write::map(&mut out, |out| {
                write::symbol(out, "x-acquired-count");
                write::long(out, i64::from(self.acquired));
                write::symbol(out, RETURNED);
                write::long(out, i64::from(self.returned));
                4
            });
        }
        write::descriptor(&mut out, section::DATA);
        let mut data = self.number.to_be_bytes().to_vec();
        data.resize(self.size.max(4), 7);
        write::binary(&mut out, &data);
        out.into()
    }
}
