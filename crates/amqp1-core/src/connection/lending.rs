//! A large message whose body the socket reads in the caller's memory.
//!
//! The thread that sends it waits until the socket has accepted it, and meanwhile reads what the
//! broker sends. So nothing is copied, and nothing that was lent outlives the call. If the wait
//! ends early, what the socket has not accepted is copied.
#![allow(unsafe_code)] // Lends memory to the output for the time of a call.

use std::ops::Range;

use bytes::Bytes;

use super::protocol::parts::Parts;
use super::protocol::tracker::Tracked;
use super::sender_link::SenderLink;
use crate::base::wait::Wait;
use crate::error::Result;

/// Memory that is lent to a connection's output. Dropping it ends that.
struct Lease<'a> {
    link: &'a SenderLink,
    place: Range<usize>,
}

impl<'a> Lease<'a> {
    /// The body, for [`Lease`]'s life.
    fn begin(link: &'a SenderLink, body: &'a [u8]) -> (Self, Bytes) {
        let start = body.as_ptr() as usize;
        let place = start..start + body.len();
        // SAFETY: `body` is neither changed nor freed during the lease's life. It is read through
        // this slice only under the connection's lock, by the output, and at the end of its life
        // the lease replaces it there by a copy, under the same lock. In a forked child, which may
        // not lock it, nobody uses the parent's output.
        let lent: &'static [u8] = unsafe { std::mem::transmute::<&[u8], &'static [u8]>(body) };
        (Self { link, place }, Bytes::from_static(lent))
    }

    /// Whether the output still needs it, and the socket has no room for more.
    fn waits_for_room(&self) -> bool {
        let mut protocol = self.link.connection.lock();
        protocol.write_waits() && protocol.uses(self.link.key, &self.place)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if !self.link.connection.is_ours() {
            return;
        }
        let mut protocol = self.link.connection.lock();
        protocol.leave(self.link.key, &self.place);
        self.link.connection.kick(protocol);
    }
}

impl SenderLink {
    /// Sends one message that consists of `head` and `body`, and waits as long as the socket has no
    /// room for it. False if `wait` ended before; the message is sent all the same.
    ///
    /// # Errors
    /// The error that ended the link: the message is lost. Interrupted: the message is sent.
    pub fn lend(
        &self,
        head: Bytes,
        body: &[u8],
        tracked: Tracked,
        wait: &Wait<'_>,
    ) -> Result<bool> {
        let signal = tracked.tracker.signal().clone();
        self.connection.raises(&signal);
        let (lease, body) = Lease::begin(self, body);
        let message = Parts::new(head, body);
        let sent = self
            .connection
            .lock()
            .send(self.key, message, 0, Some(tracked));
        sent?;
        let gone = wait.until(&signal, || Ok((!lease.waits_for_room()).then_some(())))?;
        Ok(gone.is_some())
    }
}
