//! The states of a session, from our begin to the broker's end (2.5.2 to 2.5.5).
//!
//! ```text
//!              begun                 end
//! Beginning ───────────▶ Open ─────────────────┐
//!     │                   │                    ▼
//!     ├──── end ──────────┼────────────────▶ Ending ◀─┐ begun, if it arrives late
//!     │                   │                  │ │ └────┘
//!     │ give_up           │ ended            │ │ ended
//!     ▼                   ▼                  │ ▼
//!  GivenUp ◀───────────── │ ── give_up ──────┘ gone: the channel is free
//!     │  └┐ begun         └────────────────────▶ ▲
//!     │◀──┘                                      │
//!     └──────────────────────────── ended ───────┘
//! ```
//!
//! Our begin is sent before the first state, and our end on the way to `Ending` and to `GivenUp`.
//! If a begin was lost, its session keeps the channel, because an answer may still arrive.

use crate::wire::DecodeError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Our begin is sent.
    Beginning,
    /// The broker's begin has arrived, from this channel of its own.
    Open(u16),
    /// Our end is sent.
    Ending(Option<u16>),
    /// The broker has not answered the begin in time, and our end is sent.
    GivenUp(Option<u16>),
}

/// The state of a session.
#[derive(Debug)]
pub(crate) struct Life(Stage);

impl Life {
    /// Starts when our begin is sent.
    pub fn new() -> Self {
        Self(Stage::Beginning)
    }

    /// Whether the broker has answered the begin.
    pub fn is_begun(&self) -> bool {
        self.remote_channel().is_some()
    }

    /// The channel that the broker sends on.
    pub fn remote_channel(&self) -> Option<u16> {
        match self.0 {
            Stage::Beginning => None,
            Stage::Open(remote) => Some(remote),
            Stage::Ending(remote) | Stage::GivenUp(remote) => remote,
        }
    }

    /// Whether frames may be sent on the channel, because our end is not sent yet (2.5.5).
    pub fn may_speak(&self) -> bool {
        matches!(self.0, Stage::Beginning | Stage::Open(_))
    }

    /// Whether the broker's begin is still awaited.
    pub fn is_unanswered(&self) -> bool {
        matches!(self.0, Stage::Beginning | Stage::Ending(None))
    }

    /// Whether the session was given up, so that nobody waits for the broker.
    pub fn is_given_up(&self) -> bool {
        matches!(self.0, Stage::GivenUp(_))
    }

    /// Records the broker's begin.
    ///
    /// # Errors
    /// It is the second one.
    pub fn begun(&mut self, remote: u16) -> Result<(), DecodeError> {
        self.0 = match self.0 {
            Stage::Beginning => Stage::Open(remote),
            Stage::Ending(None) => Stage::Ending(Some(remote)),
            Stage::GivenUp(None) => Stage::GivenUp(Some(remote)),
            Stage::Open(_) | Stage::Ending(Some(_)) | Stage::GivenUp(Some(_)) => {
                return Err(DecodeError("a second begin"));
            }
        };
        Ok(())
    }

    /// Ends the session. True if our end must be sent, because it was not sent before.
    #[must_use]
    pub fn end(&mut self) -> bool {
        let is_first = self.may_speak();
        if is_first {
            self.0 = Stage::Ending(self.remote_channel());
        }
        is_first
    }

    /// Gives up a session whose begin the broker has not answered in time; does nothing if it has.
    /// True if our end must be sent.
    #[must_use]
    pub fn give_up(&mut self) -> bool {
        let is_first = self.0 == Stage::Beginning;
        if self.is_unanswered() {
            self.0 = Stage::GivenUp(None);
        }
        is_first
    }

    /// Records the broker's end. Only our end may remain: true if it must be sent.
    #[must_use]
    pub fn ended(self) -> bool {
        self.may_speak()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn open() -> Life {
        let mut life = Life::new();
        life.begun(7).unwrap();
        life
    }

    #[test]
    fn our_end_is_sent_once() {
        let mut life = open();
        assert!(life.may_speak() && life.end());
        assert!(!life.may_speak() && !life.end() && !life.ended());
        assert!(open().ended(), "the broker's end is answered");
        let mut late = Life::new();
        assert!(late.end());
        late.begun(3).unwrap();
        assert_eq!(late.remote_channel(), Some(3));
        assert!(!late.ended());
    }

    #[test]
    fn a_begin_comes_once_however_far_the_session_is() {
        let mut ending = open();
        assert!(ending.end());
        let mut given_up = Life::new();
        assert!(given_up.give_up());
        given_up.begun(7).unwrap();
        for mut life in [open(), ending, given_up] {
            assert!(life.begun(8).is_err());
            assert_eq!(life.remote_channel(), Some(7));
        }
    }

    #[test]
    fn a_session_that_we_end_before_its_begin_is_answered_is_given_up_as_well() {
        let mut life = Life::new();
        assert!(life.end() && life.is_unanswered());
        assert!(!life.give_up(), "the end is sent");
        assert!(life.is_given_up() && !life.is_unanswered());
        let mut answered = open();
        assert!(!answered.give_up());
        assert!(!answered.is_given_up() && answered.may_speak());
    }
}
