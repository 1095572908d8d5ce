//! A receiver link for the rest of the client: a connection and a key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fe2o3_amqp_types::performatives::Attach;

use super::handle::Connection;
use super::ping::ping;
use super::protocol::condition::all_in_use;
use super::protocol::internal;
use super::protocol::link::Phase;
use super::protocol::options::ReceiverOptions;
use super::protocol::receiver::{Incoming, Receiver};
use super::protocol::remote::Remote;
use super::protocol::session::receiving::Settled;
use super::protocol::sessions::LinkKey;
use super::protocol::tracker::Tracked;
use super::protocol::Protocol;
use crate::base::id;
use crate::base::wait::{Signal, Wait};
use crate::error::{Error, Result};

/// How long the broker may take to report what it has sent.
const HUSH: Duration = Duration::from_millis(500);

#[derive(Debug, Clone)]
pub(crate) struct ReceiverLink {
    pub(super) connection: Connection,
    pub(super) key: LinkKey,
}

impl ReceiverLink {
    /// Attaches to `address`; `signal` is raised when deliveries arrive or the link ends.
    ///
    /// # Errors
    /// Those of [`super::protocol::Protocol::open_session`].
    pub fn open(
        connection: &Connection,
        address: &str,
        options: &ReceiverOptions,
        signal: Signal,
    ) -> Result<Self> {
        Self::open_if(|_| true, connection, address, options, signal)
    }

    /// [`ReceiverLink::open`], beside the sessions that the connection itself needs.
    ///
    /// # Errors
    /// The same if no other session is free: then [`Connection::has_room`] was true for several
    /// threads at once.
    pub fn open_in_room(
        connection: &Connection,
        address: &str,
        options: &ReceiverOptions,
        signal: Signal,
    ) -> Result<Self> {
        let has_room = |protocol: &Protocol| connection.has_room_in(protocol);
        Self::open_if(has_room, connection, address, options, signal)
    }

    fn open_if(
        has_room: impl FnOnce(&Protocol) -> bool,
        connection: &Connection,
        address: &str,
        options: &ReceiverOptions,
        signal: Signal,
    ) -> Result<Self> {
        let name = match &options.name {
            Some(name) => name.clone(),
            None => format!("amqp1-consume-{}", id::short()?),
        };
        connection.raises(&signal);
        let mut protocol = connection.lock();
        // A lost one says why itself.
        if protocol.lost().is_none() && !has_room(&protocol) {
            return Err(all_in_use(connection.label()));
        }
        let key = protocol.open_receiver(name, address, options, signal, Instant::now())?;
        connection.kick(protocol);
        Ok(Self {
            connection: connection.clone(),
            key,
        })
    }

    /// Calls `look` with the receiver.
    fn with<T>(&self, look: impl FnOnce(&mut Receiver) -> Result<T>) -> Result<T> {
        look(self.connection.lock().session(self.key)?.0.receiver()?)
    }

    /// The source's address in the answer to the attach; `None` until it arrives.
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

    /// The broker's unmodified answer to the attach.
    pub fn answer(&self) -> Option<Arc<Attach>> {
        self.with(|receiver| Ok(receiver.answer.clone())).ok()?
    }

    /// The number of unsettled deliveries: buffered or handed out.
    pub fn held(&self) -> u32 {
        self.with(|receiver| Ok(receiver.held())).unwrap_or(0)
    }

    /// The label of the endpoint, without secrets.
    pub fn remote_label(&self) -> &str {
        self.connection.label()
    }

    /// One round trip on its connection.
    ///
    /// # Errors
    /// Those of [`ping()`].
    pub fn ping(&self, wait: &Wait<'_>) -> Result<()> {
        ping(&self.connection, wait)
    }

    /// The broker's description of itself.
    pub fn remote(&self) -> &Remote {
        self.connection.remote()
    }

    /// The error that ended the link, if it has ended.
    pub fn failed(&self) -> Option<Error> {
        self.attached().err()
    }

    /// True once the broker has answered the attach; its error if it refused.
    pub fn attached(&self) -> Result<bool> {
        self.with(|receiver| match &receiver.phase {
            Phase::Attaching => Ok(false),
            Phase::Attached => Ok(true),
            Phase::Detached(error) => Err(error.clone()),
        })
    }

    /// The next delivery; `None` if there is none yet.
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

    /// Accepts a delivery; reported to the broker together with others, within milliseconds.
    pub fn accept(&self, delivery_id: u32) -> Result<()> {
        let mut protocol = self.connection.lock();
        match protocol.accept(self.key, delivery_id, Instant::now)? {
            Settled::Gathered => self.connection.kick_soon(protocol),
            Settled::AtOnce => {
                let (session, out) = protocol.session(self.key)?;
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

    /// Settles a delivery and waits for the confirmation of a sender that settles second.
    pub fn settle_second(&self, delivery_id: u32, state: &[u8], tracked: Tracked) -> Result<()> {
        self.connection.raises(tracked.tracker.signal());
        let mut protocol = self.connection.lock();
        let (session, out) = protocol.session(self.key)?;
        session.settle_second(delivery_id, state, tracked, Instant::now(), out)?;
        self.connection.kick(protocol);
        Ok(())
    }

    /// The error for settling a delivery that was taken back.
    fn recalled(&self) -> Error {
        Error::task_lost(format!(
            "{} took it back, because it was held for longer than the consumer timeout",
            self.connection.label()
        ))
    }

    /// Whether the broker has taken back an unsettled delivery.
    pub fn is_recalled(&self, delivery_id: u32) -> bool {
        self.with(|receiver| Ok(receiver.is_recalled(delivery_id)))
            .unwrap_or(false)
    }

    /// Abandons an unsettled delivery; see [`Receiver::abandon`].
    pub fn abandon(&self, delivery_id: u32) {
        let mut protocol = self.connection.lock();
        if let Ok((session, out)) = protocol.session(self.key) {
            session.abandon(delivery_id, out);
            self.connection.kick(protocol);
        }
    }

    /// Sets the most unsettled deliveries at once. With zero, buffered deliveries are returned to
    /// the broker and no more are requested.
    pub fn set_prefetch(&self, prefetch: u32) -> Result<()> {
        let mut protocol = self.connection.lock();
        let (session, out) = protocol.session(self.key)?;
        session.set_prefetch(prefetch, Instant::now(), out)?;
        self.connection.kick(protocol);
        Ok(())
    }

    /// Asks the broker whether it has more deliveries than have arrived.
    pub fn ask(&self) -> Result<()> {
        let mut protocol = self.connection.lock();
        let (session, out) = protocol.session(self.key)?;
        session.ask(Instant::now(), out).map_err(internal)?;
        self.connection.kick(protocol);
        Ok(())
    }

    /// Whether everything that the broker had at the last question has arrived; also true for an
    /// ended link.
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
        session.send_credit(credit, true, out);
        self.connection.kick(protocol);
        false
    }

    /// Requests up to `count` deliveries; with `drain`, the broker reports when it has no more.
    /// Only for a link attached with a prefetch of zero.
    pub fn demand(&self, count: u32, drain: bool) -> Result<()> {
        let mut protocol = self.connection.lock();
        let (session, out) = protocol.session(self.key)?;
        session.demand(count, drain, out)?;
        self.connection.kick(protocol);
        Ok(())
    }

    /// Requests up to `count` deliveries, unless an earlier request is not completely fulfilled.
    pub fn demand_when_spent(&self, count: u32) -> Result<()> {
        if self.with(|receiver| Ok(receiver.credit() > 0))? {
            return Ok(());
        }
        self.demand(count, false)
    }

    /// Whether the broker has reported that it has no more for the request.
    pub fn is_drained(&self) -> Result<bool> {
        self.with(|receiver| Ok(receiver.is_drained()))
    }

    /// Prepares the end of the link: returns the buffer and deliveries in flight, so that the
    /// broker does not count them as lost. Waits briefly for the broker's answer.
    pub fn hush(&self) {
        if let Some(signal) = self.begin_hush() {
            self.send();
            // If this fails, only the broker's count is wrong, or the link has ended.
            let _ = Wait::uninterrupted(HUSH).until(&signal, || Ok(self.is_quiet().then_some(())));
        }
    }

    /// As [`ReceiverLink::hush`], for several links whose deliveries raise `signal`: the broker
    /// answers for all of them at the same time.
    pub fn hush_all<'a>(links: impl Iterator<Item = &'a ReceiverLink>, signal: &Signal) {
        let links: Vec<_> = links.filter(|link| link.begin_hush().is_some()).collect();
        links.iter().for_each(|link| link.send());
        let mut asked = links.iter().peekable();
        // The time is for each answer, because a broker may need long for hundreds.
        while asked.peek().is_some() {
            let answered = Wait::uninterrupted(HUSH).until(signal, || {
                let mut answered = None;
                while asked.next_if(|link| link.is_quiet()).is_some() {
                    answered = Some(());
                }
                Ok(answered)
            });
            if !matches!(answered, Ok(Some(()))) {
                break;
            }
        }
    }

    /// The first step of [`ReceiverLink::hush`], without sending. `None` if nothing can be in
    /// flight; otherwise the signal that the answer raises.
    fn begin_hush(&self) -> Option<Signal> {
        let mut protocol = self.connection.lock();
        let (session, out) = protocol.session(self.key).ok()?;
        session.hush(out).ok()?.then_some(())?;
        session
            .receiver()
            .ok()
            .map(|receiver| receiver.signal.clone())
    }

    /// Whether nothing is in flight.
    fn is_quiet(&self) -> bool {
        self.with(|receiver| Ok(receiver.is_quiet()))
            .unwrap_or(true)
    }

    /// Sends what was written for the connection's links.
    pub fn send(&self) {
        self.connection.kick(self.connection.lock());
    }

    /// Returns the buffer, flushes, detaches and ends the session.
    pub fn close(&self) {
        self.connection.end_session(self.key);
    }

    /// As [`ReceiverLink::close`], but [`ReceiverLink::send`] must follow.
    pub fn close_unsent(&self) {
        if self.connection.is_ours() {
            self.connection.lock().end_session(self.key);
        }
    }
}
