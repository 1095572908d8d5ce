//! A sender link for the rest of the client: a connection and a key.

use std::time::Instant;

use bytes::Bytes;

use super::handle::Connection;
use super::protocol::link::Phase;
use super::protocol::options::SenderOptions;
use super::protocol::sender::Sender;
use super::protocol::sessions::LinkKey;
use super::protocol::tracker::Tracked;
use crate::base::id;
use crate::base::wait::{Signal, Wait};
use crate::error::{Error, Result};

#[derive(Debug, Clone)]
pub(crate) struct SenderLink {
    pub(super) connection: Connection,
    pub(super) key: LinkKey,
    pub(super) signal: Signal,
}

impl SenderLink {
    /// Attaches to `address`, or to the anonymous terminus. Does not wait: messages sent in the
    /// meantime are queued.
    ///
    /// # Errors
    /// Those of [`super::protocol::Protocol::open_session`].
    pub fn open(
        connection: &Connection,
        address: Option<&str>,
        options: SenderOptions,
    ) -> Result<Self> {
        let signal = Signal::new();
        connection.raises(&signal);
        let name = format!("amqp1-push-{}", id::short()?);
        let mut protocol = connection.lock();
        let key = protocol.open_sender(name, address, options, signal.clone(), Instant::now())?;
        connection.kick(protocol);
        Ok(Self {
            connection: connection.clone(),
            key,
            signal,
        })
    }

    /// Calls `look` with the sender.
    fn with<T>(&self, look: impl FnOnce(&Sender) -> Result<T>) -> Result<T> {
        let mut protocol = self.connection.lock();
        match &protocol.session(self.key)?.0.sender {
            Some(sender) => look(sender),
            None => Err(Error::connection("the link is closed")),
        }
    }

    /// The error that ended the link, if it has ended.
    pub fn failed(&self) -> Option<Error> {
        self.with(|sender| Ok(sender.phase.over().cloned()))
            .unwrap_or_else(Some)
    }

    /// Waits until the broker has answered the attach; returns the largest message that it accepts,
    /// in bytes (zero: no limit).
    pub fn ready(&self, wait: &Wait<'_>) -> Result<u64> {
        let ready = wait.until(&self.signal, || {
            self.with(|sender| match &sender.phase {
                Phase::Attaching => Ok(None),
                Phase::Attached => Ok(Some(sender.max_message_size)),
                Phase::Detached(error) => Err(error.clone()),
            })
        })?;
        ready.ok_or_else(|| {
            Error::timeout(format!(
                "{} did not answer the attach in time",
                self.connection.label()
            ))
        })
    }

    /// The largest message that the broker accepts, in bytes; zero before the attach is answered,
    /// or if unlimited.
    pub fn max_message_size(&self) -> u64 {
        self.with(|sender| Ok(sender.max_message_size)).unwrap_or(0)
    }

    /// Whether messages wait because the broker accepts none.
    pub fn waits_for_credit(&self) -> bool {
        self.with(|sender| Ok(sender.waits_for_credit()))
            .unwrap_or(false)
    }

    /// Whether nothing is in flight over this link.
    pub fn is_idle(&self) -> bool {
        self.with(|sender| Ok(sender.is_idle())).unwrap_or(true)
    }

    /// Sends one message: `at_once`, or within milliseconds together with others.
    pub fn send(&self, payload: Bytes, tracked: Tracked, at_once: bool) -> Result<()> {
        self.connection.raises(tracked.tracker.signal());
        let mut protocol = self.connection.lock();
        protocol.send(self.key, payload, 0, Some(tracked))?;
        if at_once {
            self.connection.kick(protocol);
        } else {
            self.connection.kick_soon(protocol);
        }
        Ok(())
    }

    /// Sends one message with another message-format, at once.
    pub fn send_format(&self, payload: Bytes, format: u32, tracked: Tracked) -> Result<()> {
        self.connection.raises(tracked.tracker.signal());
        let mut protocol = self.connection.lock();
        protocol.send(self.key, payload, format, Some(tracked))?;
        self.connection.kick(protocol);
        Ok(())
    }

    /// Detaches, and ends the link's session.
    pub fn close(&self) {
        self.connection.end_session(self.key);
    }
}
