//! Our end of a link from a source, as the rest of the client holds it: a connection and a key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fe2o3_amqp_types::performatives::Attach;

use super::handle::Connection;
use super::ping::ping;
use super::protocol::internal;
use super::protocol::link::Phase;
use super::protocol::options::ReceiverOptions;
use super::protocol::receiver::{Incoming, Receiver};
use super::protocol::remote::Remote;
use super::protocol::session::receiving::Settled;
use super::protocol::sessions::LinkKey;
use super::protocol::tracker::Tracked;
use crate::base::id;
use crate::base::wait::{Signal, Wait};
use crate::error::{Error, Result};

/// How long the broker may take to say what it has sent.
const HUSH: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct ReceiverLink {
    pub(super) connection: Connection,
    pub(super) key: LinkKey,
}

impl ReceiverLink {
    /// Attaches to `address`; `signal` is raised when deliveries come or the
    /// link is over.
    ///
    /// # Errors
    /// Those of [`super::protocol::Protocol::open_session`].
    pub fn open(
        connection: &Connection,
        address: &str,
        options: &ReceiverOptions,
        signal: Signal,
    ) -> Result<Self> {
        let name = match &options.name {
            Some(name) => name.clone(),
            None => format!("amqp1-consume-{}", id::short()?),
        };
        let mut protocol = connection.lock();
        let key = protocol.open_receiver(name, address, options, signal, Instant::now())?;
        connection.kick(protocol);
        Ok(Self {
            connection: connection.clone(),
            key,
        })
    }

    /// What `look` sees of the receiver.
    fn with<T>(&self, look: impl FnOnce(&mut Receiver) -> Result<T>) -> Result<T> {
        look(self.connection.lock().session(self.key)?.0.receiver()?)
    }

    /// The source's address in the attach answer; `None` until it is there.
    pub fn address(&self) -> Result<Option<String>> {
        self.with(|receiver| match &receiver.phase {
            Phase::Attaching => Ok(None),
            Phase::Attached => {
                let answer = receiver.answer.as_ref();
                let source = answer.and_then(|answer| answer.source.as_ref());
                Ok(source.and_then(|source| source.address.clone()))
            }
            Phase::Detached(error) => Err(error.clone()),
        })
    }

    /// The broker's answer to the attach, word for word.
    pub fn answer(&self) -> Option<Arc<Attach>> {
        self.with(|receiver| Ok(receiver.answer.clone())).ok()?
    }

    /// Deliveries that are not settled: in the buffer or in hand.
    pub fn held(&self) -> u32 {
        self.with(|receiver| Ok(receiver.held())).unwrap_or(0)
    }

    /// The endpoint at the other end, without secrets.
    pub fn remote_label(&self) -> &str {
        self.connection.label()
    }

    /// One round trip of its connection.
    ///
    /// # Errors
    /// Those of [`ping()`].
    pub fn ping(&self, wait: &Wait<'_>) -> Result<()> {
        ping(&self.connection, wait)
    }

    /// Who is at the other end.
    pub fn remote(&self) -> &Remote {
        self.connection.remote()
    }

    /// Why the link is over, if it is.
    pub fn failed(&self) -> Option<Error> {
        self.attached().err()
    }

    /// True once the broker has answered the attach; what refused it otherwise.
    pub fn attached(&self) -> Result<bool> {
        self.with(|receiver| match &receiver.phase {
            Phase::Attaching => Ok(false),
            Phase::Attached => Ok(true),
            Phase::Detached(error) => Err(error.clone()),
        })
    }

    /// The next delivery; `None` when there is none yet.
    pub fn take(&self) -> Result<Option<Incoming>> {
        let mut protocol = self.connection.lock();
        let (session, out) = protocol.session(self.key)?;
        let taken = session.take()?;
        if session.is_behind(taken.is_some()) {
            session.catch_up(Instant::now(), out)?;
            self.connection.kick(protocol);
        }
        Ok(taken)
    }

    /// Accepts a delivery; told to the broker with others, within milliseconds.
    pub fn accept(&self, delivery_id: u32) -> Result<()> {
        let mut protocol = self.connection.lock();
        let (session, out) = protocol.session(self.key)?;
        match session.accept(delivery_id, out)? {
            Settled::Gathered => self.connection.kick_soon(protocol),
            Settled::AtOnce => {
                session.flush(Instant::now(), out).map_err(internal)?;
                self.connection.kick(protocol);
            }
            Settled::Recalled => {
                self.connection.kick(protocol);
                return Err(self.recalled());
            }
        }
        Ok(())
    }

    /// Settles a delivery with another state, at once.
    pub fn settle(&self, delivery_id: u32, state: &[u8]) -> Result<()> {
        let mut protocol = self.connection.lock();
        let (session, out) = protocol.session(self.key)?;
        let settled = session.settle(delivery_id, state, Instant::now(), out)?;
        self.connection.kick(protocol);
        match settled {
            Settled::Recalled => Err(self.recalled()),
            Settled::AtOnce | Settled::Gathered => Ok(()),
        }
    }

    /// Settles a delivery and awaits the confirmation of a sender that settles second.
    pub fn settle_second(&self, delivery_id: u32, state: &[u8], tracked: Tracked) -> Result<()> {
        let mut protocol = self.connection.lock();
        let (session, out) = protocol.session(self.key)?;
        session.settle_second(delivery_id, state, tracked, Instant::now(), out)?;
        self.connection.kick(protocol);
        Ok(())
    }

    /// Why a delivery that was taken back cannot be settled.
    fn recalled(&self) -> Error {
        Error::task_lost(format!(
            "{} took it back, because it was held for longer than the consumer timeout",
            self.connection.label()
        ))
    }

    /// The broker has taken back a delivery that is not settled.
    pub fn is_recalled(&self, delivery_id: u32) -> bool {
        self.with(|receiver| Ok(receiver.is_recalled(delivery_id)))
            .unwrap_or(false)
    }

    /// A delivery that is not settled is let go of; see [`Receiver::abandon`].
    pub fn abandon(&self, delivery_id: u32) {
        let mut protocol = self.connection.lock();
        if let Ok((session, out)) = protocol.session(self.key) {
            session.abandon(delivery_id, out);
            self.connection.kick(protocol);
        }
    }

    /// How many deliveries may be unsettled at once; with zero, what is
    /// buffered goes back to the broker and nothing more is asked for.
    pub fn set_prefetch(&self, prefetch: u32) -> Result<()> {
        let mut protocol = self.connection.lock();
        let (session, out) = protocol.session(self.key)?;
        session.set_prefetch(prefetch, Instant::now(), out)?;
        self.connection.kick(protocol);
        Ok(())
    }

    /// Asks the broker whether it has more than what has come.
    pub fn ask(&self) -> Result<()> {
        let mut protocol = self.connection.lock();
        let (session, out) = protocol.session(self.key)?;
        session.ask(Instant::now(), out).map_err(internal)?;
        self.connection.kick(protocol);
        Ok(())
    }

    /// What the broker had when it was last asked has come; a link that is over has none.
    pub fn is_answered(&self) -> bool {
        let mut protocol = self.connection.lock();
        let Ok((session, out)) = protocol.session(self.key) else {
            return true;
        };
        let now = Instant::now();
        let Some(receiver) = &mut session.receiver else {
            return true;
        };
        let Some(credit) = receiver.ask_again(now) else {
            return receiver.is_answered(now);
        };
        // A question that cannot be written has no answer: the caller's wait ends.
        let _ = session.send_credit(credit, true, out);
        self.connection.kick(protocol);
        false
    }

    /// Asks for up to `count` deliveries; with `drain` the broker says when it has
    /// no more for that. Only for a link attached with a prefetch of zero.
    pub fn demand(&self, count: u32, drain: bool) -> Result<()> {
        let mut protocol = self.connection.lock();
        let (session, out) = protocol.session(self.key)?;
        session.demand(count, drain, out)?;
        self.connection.kick(protocol);
        Ok(())
    }

    /// Asks for up to `count` deliveries, unless what was asked for has not all come.
    pub fn demand_when_spent(&self, count: u32) -> Result<()> {
        if self.with(|receiver| Ok(receiver.credit() > 0))? {
            return Ok(());
        }
        self.demand(count, false)
    }

    /// The broker has said that there is no more for what was asked for.
    pub fn is_drained(&self) -> Result<bool> {
        self.with(|receiver| Ok(receiver.is_drained()))
    }

    /// Before the link is ended: gives back what is buffered and what is still on its way, so
    /// that the broker does not count it as something that was lost. Waits for the broker's
    /// answer, not for long.
    pub fn hush(&self) {
        let signal = {
            let mut protocol = self.connection.lock();
            let Ok((session, out)) = protocol.session(self.key) else {
                return;
            };
            let Ok(true) = session.hush(out) else {
                return;
            };
            let signal = session.receiver().map(|receiver| receiver.signal.clone());
            self.connection.kick(protocol);
            signal.unwrap_or_default()
        };
        let is_quiet = || self.with(|receiver| Ok(receiver.is_quiet().then_some(())));
        // What goes wrong now is the broker's count, or the link is over.
        let _ = Wait::uninterrupted(HUSH).until(&signal, is_quiet);
    }

    /// Gives back what is buffered, flushes, detaches and ends the session.
    pub fn close(&self) {
        self.connection.end_session(self.key);
    }
}
