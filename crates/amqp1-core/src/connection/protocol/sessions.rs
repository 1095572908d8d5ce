//! The sessions of a connection, by our channel and by the broker's.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use fe2o3_amqp_types::performatives::Begin;

use super::channels::Channels;
use super::session::Session;
use crate::base::wait::Signal;
use crate::wire::DecodeError;

/// How long the broker may take to answer a begin. RabbitMQ loses one that reaches an ending
/// session on the same channel (see [`Channels`]); on another channel, it answers.
pub(super) const UNANSWERED: Duration = Duration::from_secs(3);

const UNKNOWN: DecodeError = DecodeError("a frame for a session that does not exist");

/// The key of a session, and so of its links, for as long as it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LinkKey {
    pub channel: u16,
    /// Distinguishes successive sessions on the same channel.
    pub epoch: u64,
}

#[derive(Debug)]
pub(super) struct Sessions {
    slots: Vec<Option<Session>>,
    /// Our channel, by the broker's.
    by_remote: Vec<Option<u16>>,
    channels: Channels,
    /// When to give up on unanswered begins, the oldest first. Answered ones are removed when they
    /// are the oldest.
    opened: VecDeque<(LinkKey, Instant)>,
    next_epoch: u64,
}

impl Sessions {
    /// With channels 0 to `channel_max`.
    pub fn new(channel_max: u16) -> Self {
        Self {
            slots: Vec::new(),
            by_remote: Vec::new(),
            channels: Channels::new(channel_max),
            opened: VecDeque::new(),
            next_epoch: 0,
        }
    }

    /// Creates a session; its begin must be sent. `None` if all channels are in use.
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

    /// The session of a key, if it still exists.
    pub fn get(&mut self, key: LinkKey) -> Option<&mut Session> {
        let session = self.slots.get_mut(usize::from(key.channel))?.as_mut()?;
        (session.epoch == key.epoch).then_some(session)
    }

    /// The session on the broker's channel.
    ///
    /// # Errors
    /// There is none.
    pub fn of_remote(&mut self, remote: u16) -> Result<&mut Session, DecodeError> {
        let ours = self.by_remote.get(usize::from(remote)).copied().flatten();
        let slot = self.slots.get_mut(usize::from(ours.ok_or(UNKNOWN)?));
        slot.and_then(Option::as_mut).ok_or(UNKNOWN)
    }

    /// Handles the broker's begin.
    ///
    /// # Errors
    /// It answers none of ours, or it is the second one. Otherwise, frames of one session could
    /// reach a later one.
    pub fn begun(&mut self, remote: u16, begin: &Begin) -> Result<(), DecodeError> {
        let ours = begin.remote_channel.ok_or(UNKNOWN)?;
        let slot = self.slots.get_mut(usize::from(ours));
        let session = slot.and_then(Option::as_mut).ok_or(UNKNOWN)?;
        let at = usize::from(remote);
        if self.by_remote.len() <= at {
            self.by_remote.resize(at + 1, None);
        }
        if self.by_remote[at].is_some() {
            return Err(DecodeError("a second begin"));
        }
        session.on_begin(remote, begin)?;
        self.by_remote[at] = Some(ours);
        Ok(())
    }

    /// Handles the broker's end: removes the session, and its channel can be reused.
    ///
    /// # Errors
    /// There is no such session.
    pub fn ended(&mut self, remote: u16, now: Instant) -> Result<Session, DecodeError> {
        let by_remote = self.by_remote.get_mut(usize::from(remote));
        let ours = by_remote.and_then(Option::take).ok_or(UNKNOWN)?;
        let slot = self.slots.get_mut(usize::from(ours));
        let session = slot.and_then(Option::take).ok_or(UNKNOWN)?;
        self.channels.put_back(ours, now);
        Ok(session)
    }

    /// When to give up on the oldest unanswered begin.
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

    /// A session whose begin must be given up.
    pub fn overdue(&mut self, now: Instant) -> Option<LinkKey> {
        self.give_up_at().filter(|at| *at <= now)?;
        self.opened.pop_front().map(|(key, _)| key)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.slots.iter().flatten()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.slots.iter_mut().flatten()
    }

    /// Sessions on whose channels frames may be sent.
    pub fn speaking(&mut self) -> impl Iterator<Item = &mut Session> {
        self.iter_mut().filter(|session| session.life.may_speak())
    }

    /// Whether the broker is awaited, even if only for the answer to an end.
    pub fn are_there(&self) -> bool {
        self.iter().any(|session| !session.life.is_given_up())
    }
}
