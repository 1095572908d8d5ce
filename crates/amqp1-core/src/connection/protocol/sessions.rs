//! The sessions of a connection, by our channel and by the broker's.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use fe2o3_amqp_types::performatives::Begin;

use super::channels::Channels;
use super::session::Session;
use crate::base::wait::Signal;
use crate::wire::DecodeError;

/// How long the broker may take to answer a begin. RabbitMQ loses one that reaches a
/// session of the same channel that is about to go (see [`Channels`]); on another channel
/// it is answered.
pub(super) const UNANSWERED: Duration = Duration::from_secs(3);

const UNKNOWN: DecodeError = DecodeError("a frame for a session that does not exist");

/// Names a session, and so its links, for as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LinkKey {
    pub channel: u16,
    /// Tells sessions apart that had the same channel, one after the other.
    pub epoch: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Sessions {
    slots: Vec<Option<Session>>,
    by_remote: HashMap<u16, u16>,
    channels: Channels,
    /// When the begins of sessions are given up, the oldest first; those that the broker has
    /// answered are taken out when they come to be the oldest.
    opened: VecDeque<(LinkKey, Instant)>,
    next_epoch: u64,
}

impl Sessions {
    /// On channels 0 to `channel_max`.
    pub fn new(channel_max: u16) -> Self {
        Self {
            slots: Vec::new(),
            by_remote: HashMap::new(),
            channels: Channels::new(channel_max),
            opened: VecDeque::new(),
            next_epoch: 0,
        }
    }

    /// A new session, whose begin is to be sent; `None` when all channels are in use.
    pub fn open(
        &mut self,
        max_frame_size: usize,
        signal: Signal,
        now: Instant,
    ) -> Option<(LinkKey, &mut Session)> {
        let channel = self.channels.take(now)?;
        let at = usize::from(channel);
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        self.next_epoch += 1;
        let epoch = self.next_epoch;
        let key = LinkKey { channel, epoch };
        self.opened.push_back((key, now + UNANSWERED));
        let session = Session::new(epoch, channel, max_frame_size, signal);
        Some((key, self.slots[at].insert(session)))
    }

    /// The session of a key, if it is still the same one.
    pub fn get(&mut self, key: LinkKey) -> Option<&mut Session> {
        let session = self.slots.get_mut(usize::from(key.channel))?.as_mut()?;
        (session.epoch == key.epoch).then_some(session)
    }

    /// The session that the broker means by its channel.
    ///
    /// # Errors
    /// There is none.
    pub fn of_remote(&mut self, remote: u16) -> Result<&mut Session, DecodeError> {
        let ours = self.by_remote.get(&remote).ok_or(UNKNOWN)?;
        let slot = self.slots.get_mut(usize::from(*ours));
        slot.and_then(Option::as_mut).ok_or(UNKNOWN)
    }

    /// The broker's begin.
    ///
    /// # Errors
    /// It answers none of ours, or it is the second one: otherwise frames of one session could
    /// reach a later one.
    pub fn begun(&mut self, remote: u16, begin: &Begin) -> Result<(), DecodeError> {
        let ours = begin.remote_channel.ok_or(UNKNOWN)?;
        let slot = self.slots.get_mut(usize::from(ours));
        let session = slot.and_then(Option::as_mut).ok_or(UNKNOWN)?;
        if self.by_remote.contains_key(&remote) {
            return Err(DecodeError("a second begin"));
        }
        session.on_begin(remote, begin)?;
        self.by_remote.insert(remote, ours);
        Ok(())
    }

    /// The broker's end: the session is taken out, and its channel may be another's.
    ///
    /// # Errors
    /// There is no such session.
    pub fn ended(&mut self, remote: u16, now: Instant) -> Result<Session, DecodeError> {
        let ours = self.by_remote.remove(&remote).ok_or(UNKNOWN)?;
        let slot = self.slots.get_mut(usize::from(ours));
        let session = slot.and_then(Option::take).ok_or(UNKNOWN)?;
        self.channels.put_back(ours, now);
        Ok(session)
    }

    /// When the oldest unanswered begin is given up.
    pub fn give_up_at(&mut self) -> Option<Instant> {
        while let Some((key, at)) = self.opened.front().copied() {
            if self
                .get(key)
                .is_some_and(|session| session.life.is_unanswered())
            {
                return Some(at);
            }
            self.opened.pop_front();
        }
        None
    }

    /// A session whose begin is to be given up.
    pub fn overdue(&mut self, now: Instant) -> Option<LinkKey> {
        self.give_up_at().filter(|at| *at <= now)?;
        self.opened.pop_front().map(|(key, _)| key)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.slots.iter().flatten()
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.slots.iter_mut().flatten()
    }

    /// Those on whose channels something may be said.
    pub fn speaking(&mut self) -> impl Iterator<Item = &mut Session> {
        self.iter_mut().filter(|session| session.life.may_speak())
    }

    /// The broker is waited for, be it for the answer to an end.
    pub fn are_there(&self) -> bool {
        self.iter().any(|session| !session.life.is_given_up())
    }
}
